# SPDX-License-Identifier: Apache-2.0
"""The project's recording rules and alerts, with each of their times divided by a factor."""

import re

import yaml

from support.boards.evaluating import seconds
from support.chart.rules import ALERTS, RECORDING

DURATION = re.compile(r"\b\d+[smhd]\b")
# What is compared with a number of at least 60 is seconds; counts and steps are less.
THRESHOLD = re.compile(r"([<>] |clamp_min\()(\d{2,})\b")


def compressed(factor):
    """The text of a rule file."""
    groups = []
    for path in (RECORDING, ALERTS):
        groups += yaml.safe_load(path.read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        rule["expr"] = _expression(rule["expr"], factor)
        if "for" in rule:
            rule["for"] = _duration(rule["for"], factor)
    for group in groups:
        group["interval"] = "1s"
    return yaml.safe_dump({"groups": groups})


def _duration(text, factor):
    return f"{max(1000, round(1000 * seconds(text) / factor))}ms"


def _expression(text, factor):
    def threshold(match):
        value = int(match[2])
        return match[1] + (f"{value / factor:g}" if value >= 60 else match[2])

    text = THRESHOLD.sub(threshold, text)
    return DURATION.sub(lambda match: _duration(match[0], factor), text)
