# SPDX-License-Identifier: Apache-2.0
"""The chart's rules for Prometheus, and the program that checks them."""

import re
import shutil
import subprocess

import pytest

from support.chart import charting

RECORDING = charting.CHART / "rules" / "primus-lens-recording.yaml"
ALERTS = charting.CHART / "rules" / "primus-lens-alerts.yaml"
MFU = "primus_lens:mfu_ratio"


def promtool(*arguments):
    program = shutil.which("promtool") or pytest.skip("promtool is not installed")
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def names(spec, kind):
    return [rule[kind] for group in spec["groups"] for rule in group["rules"] if kind in rule]


def asked_for(expression):
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|offset \w+', "", expression)
    bare = re.sub(r"\b(by|on|group_right|group_left) *\([^)]*\)", "", bare)
    words = set(re.findall(r"[a-zA-Z_][\w:]*(?![\w:]* *\()", bare))
    return words - {"and", "or", "unless", "Inf"}
