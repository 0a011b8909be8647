# SPDX-License-Identifier: Apache-2.0
"""The page of the boards, panel by panel, from their own descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MARK = "<!-- boards -->\n"
# By the beginning of a series' name; the first that fits.
SOURCES = {
    "primus_lens:": "recording rules",
    "primus_lens_(system|gpu)_": "system metrics",
    "primus_lens_webhook_": "webhook",
    "primus_lens_": "exporter",
    "DCGM_": "dcgm-exporter",
    "gpu_": "device-metrics-exporter",
    "node_": "node_exporter",
    "kube_": "kube-state-metrics",
    "apiserver_": "API servers",
    "ALERTS": "alerts",
    "(up|process_)": "Prometheus",
}
NAME = re.compile(r"(?<![\w:\"$])(" + "|".join(SOURCES) + r")[\w:]*(?=[{\[ )]|$)")


def page(text: str, boards: Mapping[str, dict[str, Any]]) -> str:
    """`text` with what stands between its marks made anew."""
    above, _, below = text.split(MARK)
    made = "\n".join(line for file, each in boards.items() for line in _board(file, each))
    return f"{above}{MARK}{made}\n{MARK}{below}"


def _board(file: str, board: dict[str, Any]) -> Iterator[str]:
    yield f"## {board['title'].removeprefix('Primus Lens / ')}"
    yield f"\n{board['description']} File: `{file}`.\n"
    yield "| panel | what it shows | from |"
    yield "|---|---|---|"
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield f"| **{panel['title']}** | | |"
        else:
            queries = [target["expr"] for target in panel["targets"]]
            yield f"| {panel['title']} | {panel['description']} | {sources(queries)} |"
    for mark in board["annotations"]["list"]:
        words = re.sub(r"{{(\w+)}}", r"`\1`", mark["titleFormat"])
        yield f"| *{mark['name']}* | a mark on all graphs: {words} | {sources([mark['expr']])} |"
    yield ""


def sources(queries: list[str]) -> str:
    """Whose series the queries ask for."""
    text = re.sub(r'"[^"]*"|by \([^)]*\)|on \([^)]*\)|group_\w+ \([^)]*\)', "", " ".join(queries))
    found = {match[1] for match in NAME.finditer(text)}
    return ", ".join(source for pattern, source in SOURCES.items() if _fits(pattern, found))


def _fits(pattern: str, found: set[str]) -> bool:
    return any(re.fullmatch(pattern, each) for each in found)
