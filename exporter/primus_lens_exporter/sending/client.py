# SPDX-License-Identifier: Apache-2.0
"""One POST to the receiver. Redirects are not followed: they could carry credentials elsewhere."""

from __future__ import annotations

import aiohttp
from yarl import URL

from primus_lens_exporter.http_client.peer import Peer, describe
from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.sending.config import SendingConfig
from primus_lens_exporter.sending.wire_format import Answer, Request

ANSWER_BYTES = 16 << 10  # of the receiver's answer; the rest is not read


class NoAnswer(ExporterError):
    """The receiver may or may not have got the request; the text says what happened."""


class Client(Peer):
    """Speaks to one receiver. Use within `async with`."""

    def __init__(self, url: URL, config: SendingConfig) -> None:
        super().__init__(url, config, config.timeout_seconds)
        self._config = config

    async def post(self, request: Request) -> Answer:
        """Raises NoAnswer."""
        try:
            async with self.session.post(
                self.url,
                data=request.body,
                headers={**self._config.headers, **request.headers, **self.identity()},
                ssl=self.tls(),
                server_hostname=self._config.tls_config.server_name,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, response.headers, await _beginning(response))
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._config.remote_timeout}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(describe(error)) from None


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Of the answer's body, which may come in pieces."""
    body = b""
    while len(body) < ANSWER_BYTES and (piece := await response.content.read(ANSWER_BYTES)):
        body += piece
    return body[:ANSWER_BYTES]
