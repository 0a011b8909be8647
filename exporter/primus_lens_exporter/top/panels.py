# SPDX-License-Identifier: Apache-2.0
"""How the exporter is, and all that is known of one run: lines above and below the table."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from primus_lens_exporter.live.schema import Run, Snapshot
from primus_lens_exporter.top import rows, text

SEPARATOR = " · "
NO_RUNS = (
    "No run to show: a run is here from its first log call until a minute or so after its end."
)
LATE_SECONDS = 60.0  # as in the alert on lag


def header(shown: str, snapshot: Snapshot, seen: float, width: int | None) -> list[Text]:
    """Who answered and when (Unix seconds of this machine), and how it is."""
    clock = time.strftime("%H:%M:%S", time.localtime(seen))
    who = [Text("primus-lens top", "bold"), Text(text.harmless(shown)), Text(clock)]
    who.append(Text(f"version {text.harmless(snapshot.version)}"))
    return [*_flow(who, width), *_flow(_health(snapshot), width)]


def hints(run: Run, console: Console, width: int | None) -> list[Text]:
    """Each in full, with the alert that has a runbook."""
    lines: list[Text] = []
    for hint in run.hints:
        alert = f" ({text.harmless(hint.alert)})" if hint.alert else ""
        line = Text(f"! {text.harmless(hint.text)}{alert}", rows.hint_style(hint.kind))
        lines += [line] if width is None else line.wrap(console, width)
    return lines


def about(run: Run, console: Console, width: int) -> list[Text]:
    """Its whole name, its hints, and what else is known of it."""
    fix, headline = run.step_fix or {}, run.headline
    facts = [
        ("id", run.run_id),
        ("entity", run.entity),
        ("group", run.group),
        ("job type", run.job_type),
        ("namespace", run.namespace),
        (run.workload_kind or "workload", run.workload),
        (headline.key, text.value(headline.value)) if headline else ("", ""),
        ("keys", f"{run.keys:,}"),
        ("records", f"{run.records:,}"),
    ]
    if conflicts := fix.get("conflicts"):
        facts.append(("conflicts", f"{conflicts:,} of {fix.get('logs', 0):,} log calls"))
    if dropped := fix.get("dropped"):
        facts.append(("dropped", f"{dropped:,} rows"))
    told = [Text(text.harmless(f"{name} {fact}")) for name, fact in facts if fact]
    return [
        *Text(text.harmless(run.title), "bold").wrap(console, width),
        *hints(run, console, width),
        *_flow(told, width),
    ]


def _health(snapshot: Snapshot) -> list[Text]:
    """What is not as it should be stands first, and has a colour."""
    exporter = snapshot.exporter
    late = exporter.lag_seconds > LATE_SECONDS
    lag = f", {text.age(exporter.lag_seconds)}" if exporter.lag_bytes else ""
    told = [
        Text("ready") if exporter.ready else Text("not ready: still reading", rows.WARNING),
        Text(f"{exporter.files:,} files"),
        Text(f"{exporter.ranks:,} ranks"),
        Text(f"{exporter.series:,} series"),
        Text(f"lag {text.size(exporter.lag_bytes)}{lag}", rows.WARNING if late else ""),
        _count(exporter.dropped_series, "dropped"),
        _count(exporter.refused_files, "refused"),
    ]
    if snapshot.left_out:
        told.append(_count(snapshot.left_out, "ranks not shown"))
    if exporter.faults:
        told.append(_count(exporter.faults, "faults"))
    if pods := exporter.pods:
        told.append(Text(f"pods: {pods.injected:,} injected, {pods.skipped:,} skipped"))
        told.append(_count(pods.expected_not_injected, "without the hook"))
    return sorted(told, key=lambda each: not each.style)


def _count(count: int, of: str) -> Text:
    return Text(f"{count:,} {of}", rows.WARNING if count else "")


def _flow(items: Iterable[Text], width: int | None) -> list[Text]:
    """In lines that are as full as can be; none of the items is broken."""
    lines: list[list[Text]] = []
    for item in items:
        if lines and (width is None or _joined([*lines[-1], item]).cell_len <= width):
            lines[-1].append(item)
        else:
            lines.append([item])
    return [_joined(line) for line in lines]


def _joined(items: Iterable[Text]) -> Text:
    return Text(SEPARATOR).join(items)
