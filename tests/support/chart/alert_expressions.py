# SPDX-License-Identifier: Apache-2.0
"""The expression of each alert, as the chart has it."""

import yaml

from support.chart import charting

FILE = charting.CHART / "rules" / "primus-lens-alerts.yaml"


def expressions():
    groups = yaml.safe_load(FILE.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
