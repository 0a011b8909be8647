# SPDX-License-Identifier: Apache-2.0
"""One request at a time: bounded, counted by how it ended, and ended by `stop` at once.

Everything that can go wrong between us and the API comes out of here as RequestFailed.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping

import urllib3
from primus_lens_toolkit.kubernetes_api import Api, NotConfigured
from urllib3.exceptions import HTTPError, ReadTimeoutError

from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.pods import telemetry as results
from primus_lens_exporter.pods.decoder import Garbled
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry

PATH = "/api/v1/pods"
CHUNK_BYTES = 64 << 10

# A pod has 1.5 MiB at most in etcd; the `<` in it become six bytes each as JSON.
MAX_LINE_BYTES = 16 << 20
MAX_PAGE_BYTES = 64 << 20

STATUSES = {
    401: results.UNAUTHORIZED,
    403: results.FORBIDDEN,
    410: results.GONE,
    429: results.THROTTLED,
}
ERRORS = (
    (NotConfigured, results.UNAUTHORIZED),
    (Garbled, results.GARBLED),
    (ReadTimeoutError, results.SILENT),
    (HTTPError, results.UNREACHABLE),
    (OSError, results.UNREACHABLE),
)

log = logging.getLogger(__name__)


class RequestFailed(ExporterError):
    """A request that failed; `result` is one of `telemetry.RESULTS`."""

    def __init__(self, result: str, detail: str = "", retry_after: float = 0.0) -> None:
        super().__init__(result)
        self.result = result
        self.detail = detail
        self.retry_after = retry_after
        """Seconds for which the API wants to be left alone."""


class Stopped(ExporterError):
    """`stop` has been called."""


def status_failure(status: int, detail: str = "", retry_after: float = 0.0) -> RequestFailed:
    """What an HTTP status that is not 200, or the code of an ERROR event, stands for."""
    other = results.SERVER_ERROR if status >= 500 else results.REFUSED
    return RequestFailed(STATUSES.get(status, other), detail or f"status {status}", retry_after)


class Requests:
    """Asks for pods."""

    def __init__(self, api: Api, telemetry: KubernetesTelemetry) -> None:
        self.stopping = threading.Event()
        self._api = api
        self._telemetry = telemetry
        self._response: urllib3.BaseHTTPResponse | None = None

    def stop(self) -> None:
        """End the request there is, from another thread; there will be no other."""
        self.stopping.set()
        response = self._response
        if response is not None:
            with contextlib.suppress(ValueError, RuntimeError, OSError):  # it ends anyway
                response.shutdown()

    @contextlib.contextmanager
    def page(self, query: Mapping[str, str], read_seconds: float) -> Iterator[bytes]:
        """The body of a list. Raises RequestFailed, also for a Garbled in between, and Stopped."""
        with self._ask(results.LIST, query, read_seconds) as response:
            body = response.read(MAX_PAGE_BYTES + 1)
            if len(body) > MAX_PAGE_BYTES:
                raise Garbled
            yield body

    @contextlib.contextmanager
    def lines(self, query: Mapping[str, str], read_seconds: float) -> Iterator[Iterator[bytes]]:
        """The lines of a watch, for as long as it lasts. Raises what `page` raises.

        A watch that goes on for longer than `read_seconds` in all is ended, too: bytes that
        trickle in without ever making a line must not hold us.
        """
        with self._ask(results.WATCH, query, read_seconds) as response:
            yield _lines(self._chunks(response, time.monotonic() + read_seconds))

    def _chunks(self, response: urllib3.BaseHTTPResponse, until: float) -> Iterator[bytes]:
        for chunk in response.stream(CHUNK_BYTES):
            self._telemetry.heard()
            yield chunk
            if time.monotonic() > until:
                return

    @contextlib.contextmanager
    def _ask(
        self, verb: str, query: Mapping[str, str], read_seconds: float
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        result = results.OK
        try:
            with self._responding(query, read_seconds) as response:
                yield response
        except Exception as error:
            if self.stopping.is_set():
                raise Stopped from None
            failure = _failure(error)
            result = failure.result
            raise failure from error
        finally:
            self._telemetry.requests.labels(verb, result).inc()

    @contextlib.contextmanager
    def _responding(
        self, query: Mapping[str, str], read_seconds: float
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        response = self._api.get(PATH, query, read_seconds)
        self._response = response
        try:
            self._telemetry.heard()
            if self.stopping.is_set():  # before `stop` could see this response
                raise Stopped
            if response.status != 200:
                raise status_failure(response.status, retry_after=_retry_after(response))
            yield response
        finally:
            self._response = None
            response.close()


def _failure(error: Exception) -> RequestFailed:
    if isinstance(error, RequestFailed):
        return error
    for kind, result in ERRORS:
        if isinstance(error, kind):
            return RequestFailed(result, str(error))
    log.error("fault while asking the Kubernetes API", exc_info=error)
    return RequestFailed(results.FAULT, str(error))


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    """Kubernetes says it in seconds; a date counts as nothing."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines. Raises Garbled if the last is cut off or one is too long."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *more = chunk.split(b"\n")
        parts.append(first)
        size += len(first)
        if size > MAX_LINE_BYTES:
            raise Garbled
        if more:
            yield b"".join(parts)
            yield from more[:-1]
            parts, size = [more[-1]], len(more[-1])
    if size:
        raise Garbled
