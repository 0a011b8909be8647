# SPDX-License-Identifier: Apache-2.0
"""Delivers one request: retries with backoff until the receiver accepts or refuses it.

The rules are those of remote write 1.0: what may yet succeed (no answer, 5xx, 429, a
redirect) is tried again with the same bytes; any other answer is final. A Prometheus 2
refuses a whole request for one sample, so what is refused is sent again in halves: a pod
with a wrong clock must not cost the others theirs.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque

from primus_lens_exporter.remote_write import protocol, telemetry
from primus_lens_exporter.remote_write.client import Answer, Client, NoAnswer
from primus_lens_exporter.remote_write.spool import Entry
from primus_lens_exporter.remote_write.telemetry import RemoteWriteTelemetry

MIN_WAIT, MAX_WAIT = 0.05, 10.0  # seconds before the first and the later tries
MAX_ASKED_WAIT = 300.0  # whatever the receiver asks for
# Answers that are about the samples; others (401, 404) would be the same for each half.
ABOUT_SAMPLES = (400, 409, 413, 422)
SPLITS = 64  # of one request; the rest is sent as it is then
# What Prometheus, Mimir, Thanos and Cortex call samples that they have, or have newer ones of.
DUPLICATES = ("out of order", "out-of-order", "duplicate sample", "out of bounds", "too old")

log = logging.getLogger(__name__)


class Sender:
    """Sends requests one after the other."""

    def __init__(self, client: Client, telemetry: RemoteWriteTelemetry) -> None:
        self._client = client
        self._telemetry = telemetry
        self._random = secrets.SystemRandom()
        self._refused: set[int] = set()
        """Statuses that were logged."""
        self._away_since: float | None = None

    async def settle(self, entry: Entry, *, resumed: bool) -> None:
        """Returns when the receiver has decided on every sample of the request.

        `resumed`: an earlier process may have sent it.
        """
        waiting = deque([(entry.body, entry.samples)])
        splits, known = SPLITS, resumed
        while waiting:
            body, samples = waiting.popleft()
            answer, repeated = await self._deliver(body)
            known = known or repeated
            if answer.status < 300:
                self._telemetry.requests.labels(telemetry.SENT).inc()
                self._telemetry.samples.labels(telemetry.SENT).inc(samples)
                continue
            self._telemetry.requests.labels(telemetry.REFUSED).inc()
            divisible = splits and answer.status in ABOUT_SAMPLES
            halves = protocol.halves(body) if divisible else None
            if halves is None:
                self._give_up(answer, samples, known=known)
                continue
            splits -= 1
            if halves.one_series:  # its times must rise: the later half right behind the earlier
                waiting.extendleft(reversed(halves.parts))
            else:
                waiting.extend(halves.parts)
        self._telemetry.newest_sent.set(entry.newest / 1000)

    async def _deliver(self, body: bytes) -> tuple[Answer, bool]:
        """The final answer, and whether the request may have arrived more than once."""
        tries = 0
        while True:
            try:
                answer = await self._client.post(body)
            except NoAnswer as error:
                self._retry("no answer", error=str(error))
                asked = None
            else:
                if not _may_yet_succeed(answer.status):
                    self._answered()
                    return answer, tries > 0
                self._retry("receiver cannot take samples now", **_shown(answer))
                asked = answer.retry_after
            await asyncio.sleep(self._wait(tries, asked))
            tries += 1

    def _wait(self, tries: int, asked: float | None) -> float:
        """Seconds until the next try, never quite the same for two exporters."""
        if asked is not None:
            return min(asked, MAX_ASKED_WAIT)
        return min(MAX_WAIT, MIN_WAIT * 2.0 ** min(tries, 20)) * self._random.uniform(0.5, 1.0)

    def _retry(self, what: str, **details: object) -> None:
        """Once for each time that the receiver is away."""
        self._telemetry.requests.labels(telemetry.RETRIED).inc()
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("%s, trying again", what, extra={"url": self._client.shown, **details})

    def _answered(self) -> None:
        if self._away_since is not None:
            seconds = round(time.monotonic() - self._away_since, 1)
            self._away_since = None
            log.info("receiver answers again", extra={"away_seconds": seconds})

    def _give_up(self, answer: Answer, samples: int, *, known: bool) -> None:
        """`known`: the receiver may have the samples already."""
        text = answer.text.lower()
        if known and any(each in text for each in DUPLICATES):
            self._telemetry.samples.labels(telemetry.DUPLICATE).inc(samples)
            return
        self._telemetry.samples.labels(telemetry.REFUSED).inc(samples)
        if answer.status not in self._refused:
            self._refused.add(answer.status)
            extra = {"url": self._client.shown, "samples": samples, **_shown(answer)}
            log.warning("samples refused for good", extra=extra)


def _may_yet_succeed(status: int) -> bool:
    """A redirect is a wrong URL, which somebody will put right."""
    return status >= 500 or status == 429 or 300 <= status < 400


def _shown(answer: Answer) -> dict[str, object]:
    return {"status": answer.status, "answer": answer.text}
