# SPDX-License-Identifier: Apache-2.0
"""A rank whose series a test makes: its quotas, and what it is told."""

from collections import Counter

from primus_lens_exporter.model.quota import Quota


class Holder:
    def __init__(self, limit=1000, above=None, histories=10):
        self.quota = Quota(limit, "series_per_pod", above)
        self.history_quota = Quota(histories, "trails_per_pod")
        self.drops = Counter()
        self.limits = Counter()

    def dropped(self, reason, values):
        self.drops[reason] += values

    def limited(self, limit):
        self.limits[limit] += 1
