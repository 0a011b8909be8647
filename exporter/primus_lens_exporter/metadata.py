# SPDX-License-Identifier: Apache-2.0
"""Type and help of each metric family that samples belong to, the same wherever they go.

Must know nothing of a format: remote write, OTLP and backfill each write it as theirs says.
"""

from __future__ import annotations

from primus_lens_exporter.model.rounds import AGGREGATES
from primus_lens_exporter.model.system_metrics import MEASURES
from primus_lens_exporter.samples import METRIC, NOT_FINITE, STEP

COUNTER, GAUGE = "counter", "gauge"
FAMILIES = {
    METRIC: (GAUGE, "Value logged under each key."),
    NOT_FINITE: (COUNTER, "Values that were NaN or infinite."),
    STEP: (GAUGE, "Step of each log call that was not late."),
    **{name: (GAUGE, text) for name, text in AGGREGATES.items()},
    **{name: (measure.kind, measure.help) for name, measure in MEASURES.items()},
}
"""Type and help by name, in the order in which backfill writes them."""
COUNTERS = frozenset(name for name, (kind, _) in FAMILIES.items() if kind == COUNTER)
