# SPDX-License-Identifier: Apache-2.0
"""All families of trainings' series, and what their runs share."""

from __future__ import annotations

from collections.abc import Callable

from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.series.key_cache import KeyCache
from primus_lens_exporter.series.metric_family import MetricFamily

STEP_FIX = {
    "logs": "Log calls that passed through the step fix.",
    "conflicts": "Log calls that wandb alone would have dropped for their step.",
    "dropped": "Rows that wandb would not take in the end.",
    "flushes": "Times that waiting rows went to wandb.",
}


class Families:
    """Made once, by the store."""

    def __init__(
        self, rules: SeriesRules, make_room: Callable[[Quota, float], bool], since: float
    ) -> None:
        """`make_room` ends older runs of a tenant whose quota is used up, if there are any."""
        self.rules = rules
        self.since = since
        """When counting began, in Unix seconds: see `not_finite`."""
        self.key_cache = KeyCache()
        self.metric = MetricFamily(
            "primus_lens_wandb_metric", "gauge", "Newest value logged under each key."
        )
        # A restart reads old records again, and deleted segments would make their count smaller,
        # which Prometheus takes for a reset: only what was logged since the start is counted.
        self.not_finite = MetricFamily(
            "primus_lens_wandb_not_finite_total",
            "counter",
            "Values that were NaN or infinite, logged since the exporter started.",
        )
        self.step = MetricFamily("primus_lens_wandb_step", "gauge", "Newest step of the run.")
        self.timestamp = MetricFamily(
            "primus_lens_wandb_last_record_timestamp_seconds",
            "gauge",
            "Time of the newest log call, in seconds since the epoch.",
        )
        self.records = MetricFamily(
            "primus_lens_wandb_records_total",
            "counter",
            "Log calls of the run on this rank.",
        )
        self.info = MetricFamily(
            "primus_lens_wandb_run_info",
            "gauge",
            "What W&B and Kubernetes know the run by; always 1.",
        )
        self.step_fix = {
            name: MetricFamily(f"primus_lens_wandb_step_fix_{name}_total", "counter", text)
            for name, text in STEP_FIX.items()
        }
        self.named = {
            key: MetricFamily(named.name, "gauge", named.help) for key, named in rules.named.items()
        }
        """Proper metrics for known keys, beside the one with the key as a label."""
        known = (
            self.metric, self.not_finite, self.step, self.timestamp, self.records, self.info,
        )  # fmt: skip
        self.all = (*known, *self.step_fix.values(), *self.named.values())
        """In the order of the page."""
        self.make_room = make_room
