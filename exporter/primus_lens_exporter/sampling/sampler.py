# SPDX-License-Identifier: Apache-2.0
"""Stands between reading and one consumer, and hands on the values that the rules keep.

Every record is handed on, perhaps with fewer values: how many there are, and when the newest came,
must not depend on the rules. Records are others' too and are never changed. Samples of the
system have no rules.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from primus_lens_exporter.model.labels import Labels, of_pod
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.rounds import Round
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.reading.consumer import Consumer, Holder
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.faults import Isolated
from primus_lens_exporter.reading.time_slices import in_slices
from primus_lens_exporter.sampling.pod import Pod, PodRun
from primus_lens_exporter.sampling.rules import REASONS, Rules
from primus_lens_exporter.sampling.turn import Turn

EMIT_SECONDS = 1.0


class Sampler(Consumer):
    """Give it to reading in the place of `consumer`, and run `run` beside that."""

    def __init__(
        self,
        consumer: Consumer,
        rules: Rules,
        keys: int,
        values: int,
        counts: Counts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Of each pod, at most so many keys are remembered, and so many values wait.

        `counts`: of reading, where faults are counted.
        """
        self.left_out: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        """Values, by the word of the file that left them out."""
        self._consumer = consumer
        self._rules = rules
        self._bounds = keys, values
        self._counts = counts
        self._clock = clock
        self._pods: dict[Labels, Pod] = {}
        self._labels: dict[Holder, Labels] = {}

    async def run(self) -> None:
        """Until cancelled: hand on what nobody is waited for any more."""
        while True:
            await asyncio.sleep(EMIT_SECONDS)
            await in_slices(self.emit())

    def emit(self) -> Iterator[None]:
        """Hand on the aggregates that wait for nobody by now, in short steps."""
        for labels, pod in list(self._pods.items()):
            if pod.waiting.values:
                with Isolated(self._counts, next(iter(pod.thinning)).path):
                    yield from self._emit(labels, pod)

    def accepts(self, holder: Holder) -> bool:
        labels = self._labels.get(holder)
        if labels is not None:
            pod = self._pods[of_pod(labels)]
            if not pod.progress.asks(holder, self._clock(), used=pod.waiting.used):
                return False
        return self._consumer.accepts(holder)

    def resume(self, file: str) -> int:
        return self._consumer.resume(file)

    def take(
        self, labels: Labels, records: list[Record], positions: Mapping[str, int], holder: Holder
    ) -> None:
        now, pod_labels = self._clock(), of_pod(labels)
        pod = self._pods.get(pod_labels)
        if pod is None:
            pod = self._pods[pod_labels] = Pod(*self._bounds, now)
        self._labels[holder] = labels
        turn = Turn(self._rules, pod, labels, holder, now)
        records = [turn.sampled(record) for record in records]
        self.left_out.update(turn.left_out)
        for claim, key in turn.taken_over:
            self._consumer.leave_out(claim.labels, claim.run_id, key)
        self._consumer.take(labels, records, positions, holder)
        for run_id, rounds in turn.finish(records):
            self._hand_on(pod_labels, run_id, pod.runs[run_id], rounds)

    def caught_up(self, holder: Holder) -> None:
        self._consumer.caught_up(holder)

    def describe(self, labels: Labels, run_id: str, info: RunInfo, holder: Holder) -> bool:
        return self._consumer.describe(labels, run_id, info, holder)

    def end(self, labels: Labels, run_id: str, finish: float, holder: Holder) -> None:
        pod_labels = of_pod(labels)
        if holder in self._labels:
            pod = self._pods[pod_labels]
            self._leave_aggregates(pod_labels, pod, run_id, holder)
            pod.leave_run(holder, run_id)
        self._consumer.end(labels, run_id, finish, holder)

    def forget(self, file: str) -> None:
        self._consumer.forget(file)

    def release(self, holder: Holder) -> None:
        labels = self._labels.pop(holder, None)
        if labels is not None:
            pod_labels = of_pod(labels)
            pod = self._pods[pod_labels]
            for run_id in list(pod.runs):
                self._leave_aggregates(pod_labels, pod, run_id, holder)
            pod.leave(holder)
            if not pod.thinning:
                del self._pods[pod_labels]
        self._consumer.release(holder)

    def _emit(self, labels: Labels, pod: Pod) -> Iterator[None]:
        for run_id, run in list(pod.runs.items()):
            for key, aligned in list(run.keys.items()):
                if pod.runs.get(run_id) is run:  # else it has ended meanwhile
                    rounds = pod.complete({key: aligned}, self._clock())
                    self._hand_on(labels, run_id, run, rounds)
                    yield

    def _leave_aggregates(self, labels: Labels, pod: Pod, run_id: str, holder: Holder) -> None:
        """A rank logs to the run no more; with the last one, its aggregates end."""
        run = pod.runs.get(run_id)
        if run is None or holder not in run.holders:
            return
        if len(run.holders) > 1:
            run.holders.discard(holder)
            return
        self._hand_on(labels, run_id, run, pod.rest(run_id))
        self._consumer.end_aggregates(labels, run_id)

    def _hand_on(self, labels: Labels, run_id: str, run: PodRun, rounds: Iterable[Round]) -> None:
        kept = [each for each in rounds if self._is_kept(each, run)]
        if kept:
            self._consumer.take_aggregates(labels, run_id, kept, run.holders)

    def _is_kept(self, each: Round, run: PodRun) -> bool:
        rule = self._rules.of(each.key)
        return rule is None or not rule.thins or run.keys[each.key].keeps(rule.window(1, each.at))
