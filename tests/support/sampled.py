# SPDX-License-Identifier: Apache-2.0
"""A sampler on ranks that a test makes, and a consumer that remembers what was handed on."""

from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.sampling.config import load
from primus_lens_exporter.sampling.rules import Rules
from primus_lens_exporter.sampling.sampler import Sampler

from support.holding import Holder

START = 100.0


class Kept(Consumer):
    """What was handed on, in order."""

    def __init__(self):
        self.records = []
        self.rounds = []
        self.calls = []
        self.left_out = []
        self.accepting = True
        self.faulty = None  # the name of a pod

    def accepts(self, holder):
        return self.accepting

    def take(self, labels, records, positions, holder):
        self.records += records

    def take_aggregates(self, labels, run_id, rounds, holders):
        assert holders
        assert dict(labels)["pod"] != self.faulty
        self.rounds += [(dict(labels), run_id, each) for each in rounds]

    def end_aggregates(self, labels, run_id):
        self.calls.append(("end_aggregates", labels, run_id))

    def leave_out(self, labels, run_id, key):
        self.left_out.append((dict(labels)["local_rank"], run_id, key))

    def end(self, labels, run_id, finish, holder):
        self.calls.append(("end", run_id))

    def release(self, holder):
        self.calls.append(("release", holder))

    def steps(self, key):
        return [record.step for record in self.records if key in record.data]

    @property
    def aggregates(self):
        """Run, key, time and values of each."""
        return [(run_id, each.key, each.at, each.values) for _, run_id, each in self.rounds]


class Pod:
    """Ranks of one pod before one consumer; its clock is the test's."""

    def __init__(self, directory, rules, keys=1000, values=1000):
        path = directory / "sampling.yaml"
        path.write_text(f"rules: [{rules}]")
        self.kept = Kept()
        self.counts = Counts()
        self.now = START
        rules = Rules(load(path), SeriesRules())
        self.sampler = Sampler(self.kept, rules, keys, values, self.counts, lambda: self.now)
        self.ranks = {}

    def labels(self, rank, name="p"):
        return (("namespace", "n"), ("pod", name), ("node_rank", "0"), ("local_rank", str(rank)))

    def holder(self, rank):
        return self.ranks.setdefault(rank, Holder())

    def take(self, *records, rank=0, name="p"):
        holder = self.holder(rank)
        self.sampler.take(self.labels(rank, name), list(records), {"file": 0}, holder)

    @property
    def waiting(self):
        """Values that wait to be aggregated."""
        return sum(pod.waiting.values for pod in self.sampler._pods.values())

    def end(self, rank=0, run="r"):
        self.sampler.end(self.labels(rank), run, 0.0, self.holder(rank))

    def release(self, rank=0):
        self.sampler.release(self.ranks.pop(rank))

    def accepts(self, rank=0):
        return self.sampler.accepts(self.holder(rank))

    def settle(self):
        """Longer than anybody is waited for."""
        self.now += 60
        self.emit()

    def emit(self):
        for _ in self.sampler.emit():
            pass


def row(step, at=None, run="r", seq=None, **data):
    at = float(step) if at is None else at
    return Record(at, data, step, run, seq=step if seq is None else seq)
