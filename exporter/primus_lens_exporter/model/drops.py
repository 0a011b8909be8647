# SPDX-License-Identifier: Apache-2.0
"""Why a value gets no series: the values of the label `reason`."""

SERIES_PER_POD, SERIES_PER_NODE = "series_per_pod", "series_per_node"
KEYS_PER_RANK = "keys_per_rank"
LABEL_BYTES = "label_bytes"
KEY_RULES = "key_rules"
DROPS = (SERIES_PER_POD, SERIES_PER_NODE, KEYS_PER_RANK, LABEL_BYTES, KEY_RULES)
