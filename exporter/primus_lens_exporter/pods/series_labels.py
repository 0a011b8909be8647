# SPDX-License-Identifier: Apache-2.0
"""Pod labels as labels of series, named as kube-state-metrics names them.

So that both can be joined and one relabelling fits both (`mapToPrometheusLabels` in its
internal/store/utils.go). Two labels of a series never get one name: that would fail a scrape.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Mapping

INVALID = re.compile(r"[^a-zA-Z0-9_]")
HUMP = re.compile(r"([a-z0-9])([A-Z])")


def series_labels(
    labels: Mapping[str, str], allowed: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """The allowed ones among a pod's labels as pairs of name and value, sorted by name.

    `app.kubernetes.io/name` becomes `label_app_kubernetes_io_name`. Where several would have
    one name, each of them gets `_conflict1`, `_conflict2`, … in the order of their keys.
    """
    keys: dict[str, list[str]] = defaultdict(list)
    for key in sorted(labels.keys() & set(allowed)):
        keys[_name(key)].append(key)
    named = {name: those[0] for name, those in keys.items() if len(those) == 1}
    for name, those in keys.items():
        free = (n for i in itertools.count(1) if (n := f"{name}_conflict{i}") not in named)
        if len(those) > 1:
            named |= dict(zip([next(free) for _ in those], those, strict=True))
    return tuple(sorted((name, labels[key]) for name, key in named.items()))


def _name(key: str) -> str:
    return "label_" + HUMP.sub(r"\1_\2", INVALID.sub("_", key)).lower()
