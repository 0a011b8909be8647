# SPDX-License-Identifier: Apache-2.0
"""A rank whose series a test makes: its quotas, and what it is told."""

from collections import Counter

from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.reading.sequences import Sequences


class Holder:
    path = "node_0/rank_0"

    def __init__(self, limit=1000, above=None, histories=10):
        self.sequences = Sequences(Quota(1000, "sequences_per_pod"))
        self.shared = []
        self.quota = Quota(limit, "series_per_pod", above)
        self.history_quota = Quota(histories, "trails_per_pod")
        self.drops = Counter()
        self.limits = Counter()

    def dropped(self, reason, values):
        self.drops[reason] += values

    def limited(self, limit):
        self.limits[limit] += 1

    def logged(self, run_id):
        return self.sequences.logged(run_id)

    def also_written(self, paths):
        self.shared += paths


def give(store, labels, records, holder, *, is_current=True):
    """What reading does with records of a rank."""
    if is_current:
        store.caught_up(holder)
    store.take(labels, holder.sequences.fresh("", records), {"file": 0}, holder)
