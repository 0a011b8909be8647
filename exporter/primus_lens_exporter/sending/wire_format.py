# SPDX-License-Identifier: Apache-2.0
"""The interface of a protocol: samples into requests, and answers into what has to happen.

A body stays in the spool until it is settled, perhaps over a restart with another setting, so
a protocol must be able to send every body that any version of it has ever made.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.sample import Sample
from primus_lens_exporter.sending.counter_starts import CounterStarts

REQUEST_SAMPLES = 2000  # as Prometheus itself sends; receivers bound a request's size
TEXT_BYTES = 256  # of an answer, in a log


class Request(NamedTuple):
    """What is posted now."""

    body: bytes
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """What the receiver answered."""

    status: int
    headers: Mapping[str, str]
    """By names of any case."""

    body: bytes = b""
    """Its beginning."""

    @property
    def text(self) -> str:
        """For people, as it was sent."""
        return self.body[:TEXT_BYTES].decode("utf-8", "replace").strip()


class Fate(enum.Enum):
    """What an answer means for a request."""

    ACCEPTED = enum.auto()
    RETRY = enum.auto()
    """It may yet succeed, later."""
    RENEGOTIATE = enum.auto()
    """The receiver does not know this form: ask for the request again and post it at once."""
    DIVIDE = enum.auto()
    """Refused, perhaps for a part of it."""
    REFUSED = enum.auto()


class Verdict(NamedTuple):
    """What an answer means, and how many of the request's samples the receiver has."""

    fate: Fate
    text: str
    written: int = 0


class Halves(NamedTuple):
    """The same samples in two requests, each with its count."""

    parts: list[tuple[bytes, int]]
    one_series: bool


class WireFormat(Protocol):
    """One protocol."""

    def identify(self, name: str, labels: Labels) -> bytes:
        """A series' id, the same after a restart: its name and labels, encoded once."""

    def encode(self, samples: Sequence[Sample], starts: CounterStarts) -> bytes:
        """A body. Times of one series rise, as `SampleBuilder` makes them."""

    def request(self, body: bytes) -> Request:
        """What is posted for a body; after RENEGOTIATE in another form."""

    def judge(self, request: Request, answer: Answer, samples: int) -> Verdict:
        """What the answer to a request of so many samples means.

        RENEGOTIATE is said once for a request at most: the sender does not wait between.
        """

    def halves(self, body: bytes) -> Halves | None:
        """Divide by series; one series by time; None for a single sample."""
