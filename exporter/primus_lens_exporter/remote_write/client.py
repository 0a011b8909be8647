# SPDX-License-Identifier: Apache-2.0
"""One POST to the receiver. Redirects are not followed: they could carry credentials elsewhere."""

from __future__ import annotations

import email.utils
import time
from typing import NamedTuple

import aiohttp
from yarl import URL

from primus_lens_exporter.http_client.peer import Peer, describe
from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.remote_write.config import Config
from primus_lens_exporter.remote_write.protocol import HEADERS

TEXT_BYTES = 256  # of the receiver's answer


class NoAnswer(ExporterError):
    """The receiver may or may not have got the request; the text says what happened."""


class Answer(NamedTuple):
    """What the receiver said."""

    status: int
    text: str
    """Its beginning, as it was sent."""

    retry_after: float | None
    """Seconds, if it named a time."""


class Client(Peer):
    """Speaks to one receiver. Use within `async with`."""

    def __init__(self, url: URL, config: Config) -> None:
        super().__init__(url, config, config.timeout_seconds)
        self._config = config

    async def post(self, body: bytes) -> Answer:
        """Raises NoAnswer."""
        try:
            async with self.session.post(
                self.url,
                data=body,
                headers={**self._config.headers, **HEADERS, **self.identity()},
                ssl=self.tls(),
                server_hostname=self._config.tls_config.server_name,
                allow_redirects=False,
            ) as response:
                text = await response.content.read(TEXT_BYTES)
                after = _seconds(response.headers.get("Retry-After", ""))
                return Answer(response.status, text.decode("utf-8", "replace").strip(), after)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._config.remote_timeout}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(describe(error)) from None


def _seconds(retry_after: str) -> float | None:
    """RFC 9110: seconds or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
