# SPDX-License-Identifier: Apache-2.0
"""Gives records from a thread to a consumer that lives on the event loop.

Consumers, and the quotas behind them, are the event loop's alone. Each call is made there, and
the thread waits for the answer; the event loop never waits for the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.reading.consumer import Consumer, Holder

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Stopped(BaseException):
    """The consumer takes no more: reading has to end, and no fault has happened."""


class LoopConsumer(Consumer):
    """Stands for `consumer` in one thread; made on the event loop."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._holders: set[Holder] = set()

    def knows(self, holder: Holder) -> bool:
        """Whether records of this rank have come by, and it is not gone."""
        return holder in self._holders

    def stop(self) -> None:
        """Pass on no more calls; those that need an answer raise Stopped."""
        self._stopped = True

    def accepts(self, holder: Holder) -> bool:
        return self._call(self._consumer.accepts, holder)

    def resume(self, file: str) -> int:
        return self._call(self._consumer.resume, file)

    def take(
        self, labels: Labels, records: list[Record], positions: Mapping[str, int], holder: Holder
    ) -> None:
        self._call(self._take, labels, records, positions, holder)

    def caught_up(self, holder: Holder) -> None:
        self._call(self._consumer.caught_up, holder)

    def describe(self, labels: Labels, run_id: str, info: RunInfo, holder: Holder) -> bool:
        return self._call(self._consumer.describe, labels, run_id, info, holder)

    def end(self, labels: Labels, run_id: str, finish: float, holder: Holder) -> None:
        self._call(self._consumer.end, labels, run_id, finish, holder)

    def forget(self, file: str) -> None:
        with contextlib.suppress(Stopped):  # the file is not gone, it is closed
            self._call(self._consumer.forget, file)

    def release(self, holder: Holder) -> None:
        with contextlib.suppress(Stopped):
            self._call(self._release, holder)

    def _take(
        self, labels: Labels, records: list[Record], positions: Mapping[str, int], holder: Holder
    ) -> None:
        self._holders.add(holder)
        self._consumer.take(labels, records, positions, holder)

    def _release(self, holder: Holder) -> None:
        self._holders.discard(holder)
        self._consumer.release(holder)

    def _call(
        self,
        method: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        answer: Future[Result] = Future()

        def call() -> None:
            try:
                if self._stopped:
                    raise Stopped
                answer.set_result(method(*args, **kwargs))
            except BaseException as error:
                answer.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop has been closed
            raise Stopped from None
        return answer.result()
