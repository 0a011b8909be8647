# SPDX-License-Identifier: Apache-2.0
"""Delivers one request: retries with backoff until the receiver accepts or refuses it.

What an answer means is the protocol's to say. What may yet succeed is tried again with the
same bytes; any other answer is final. A Prometheus 2 refuses a whole request for one sample,
so what is refused is sent again in halves: a pod with a wrong clock must not cost the others
theirs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

from primus_lens_exporter.sending import backoff, telemetry
from primus_lens_exporter.sending.client import Client, NoAnswer
from primus_lens_exporter.sending.spool import Entry
from primus_lens_exporter.sending.telemetry import SendingTelemetry
from primus_lens_exporter.sending.wire_format import Answer, Fate, Verdict, WireFormat

SPLITS = 64  # of one request; the rest is sent as it is then
# What Prometheus, Mimir, Thanos and Cortex call samples that they have, or have newer ones of.
DUPLICATES = ("out of order", "out-of-order", "duplicate sample", "out of bounds", "too old")

log = logging.getLogger(__name__)


class Sender:
    """Sends requests one after the other."""

    def __init__(self, client: Client, form: WireFormat, telemetry: SendingTelemetry) -> None:
        self._client = client
        self._form = form
        self._telemetry = telemetry
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
            answer, verdict, repeated = await self._deliver(body, samples)
            known = known or repeated
            accepted = verdict.fate is Fate.ACCEPTED
            result = telemetry.SENT if accepted else telemetry.REFUSED
            self._telemetry.requests.labels(result).inc()
            divisible = splits and verdict.fate is Fate.DIVIDE
            halves = self._form.halves(body) if divisible else None
            if halves is None:
                self._count(answer, verdict, samples, known=known)
                continue
            splits -= 1
            if halves.one_series:  # its times must rise: the later half right behind the earlier
                waiting.extendleft(reversed(halves.parts))
            else:
                waiting.extend(halves.parts)
        self._telemetry.newest_sent.set(entry.newest / 1000)

    async def _deliver(self, body: bytes, samples: int) -> tuple[Answer, Verdict, bool]:
        """The final answer, and whether the samples may have arrived more than once."""
        tries, repeated = 0, False
        while True:
            request, asked = self._form.request(body), None
            try:
                answer = await self._client.post(request)
            except NoAnswer as error:
                self._retry("no answer", error=str(error))
            else:
                verdict = self._form.judge(request, answer, samples)
                if verdict.fate is Fate.RENEGOTIATE:
                    self._renegotiate(answer, verdict)
                    repeated = repeated or answer.status < 300
                    continue
                if verdict.fate is not Fate.RETRY:
                    self._answered()
                    return answer, verdict, repeated
                said = {"status": answer.status, "answer": verdict.text}
                self._retry("receiver cannot take samples now", **said)
                asked = answer.headers.get("Retry-After")
            await asyncio.sleep(backoff.wait(tries, asked))
            tries, repeated = tries + 1, True

    def _renegotiate(self, answer: Answer, verdict: Verdict) -> None:
        """It happens once a process: see `WireFormat.judge`."""
        self._telemetry.requests.labels(telemetry.RENEGOTIATED).inc()
        said = {"url": self._client.shown, "status": answer.status, "answer": verdict.text}
        log.warning("receiver does not know the protocol, falling back", extra=said)

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

    def _count(self, answer: Answer, verdict: Verdict, samples: int, *, known: bool) -> None:
        """`known`: the receiver may have had the samples already."""
        self._telemetry.samples.labels(telemetry.SENT).inc(verdict.written)
        left = samples - verdict.written
        if not left:
            return
        text = verdict.text.lower()
        if known and any(each in text for each in DUPLICATES):
            self._telemetry.samples.labels(telemetry.DUPLICATE).inc(left)
            return
        self._telemetry.samples.labels(telemetry.REFUSED).inc(left)
        if answer.status not in self._refused:
            self._refused.add(answer.status)
            said = {"url": self._client.shown, "samples": left, "status": answer.status}
            log.warning("samples refused for good", extra={**said, "answer": verdict.text})
