# SPDX-License-Identifier: Apache-2.0
"""The course of the demo, and what it shows."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from primus_lens_demo import series, training
from primus_lens_demo.processes import (
    DemoError,
    exporter_command,
    free_port,
    running,
    wait_for,
)
from primus_lens_demo.series import Series

POLL_SECONDS = 0.25
ARRIVE_SECONDS = 15.0
METRIC = "primus_lens_wandb_metric"
STEP = "primus_lens_wandb_step"
RECORDS = "primus_lens_wandb_records_total"
PROMQL = {
    "the loss of every rank": METRIC + '{key="train/loss"}',
    "the mean accuracy": f'avg({METRIC}{{key="eval/accuracy"}})',
    "the slowest rank": f"bottomk(1, {STEP})",
    "log calls per second": f"sum(rate({RECORDS}[10s]))",
}

Ask = Callable[[str], list[Series]]


def run(script: Path, steps: int, console: Console, *, serve: bool) -> None:
    """Train, watch, show, and clean up. Raises DemoError."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="primus-lens-")))
        records = directory / "records"
        records.mkdir()
        exporter, ask = _start_monitoring(stack, directory, records, console, serve=serve)
        console.print(f"Training {script} as {training.WORLD_SIZE} ranks on 2 nodes …")
        ranks = training.start(stack, script, steps, records, directory)
        _watch(exporter, ranks, steps, console)
        _show(exporter, ask, training.lines_written(records), console)
        if serve:
            console.print("\nStill serving. Press Ctrl-C to end.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()


def _start_monitoring(
    stack: contextlib.ExitStack, directory: Path, records: Path, console: Console, *, serve: bool
) -> tuple[str, Ask | None]:
    """The exporter's address, and how to ask Prometheus if this machine has one."""
    port = free_port()
    exporter = f"http://127.0.0.1:{port}"
    log = directory / "exporter.log"
    command = exporter_command(records, port)
    if serve:  # what has finished stays to be looked at
        command += ["--series.grace-seconds", "86400"]
    process = stack.enter_context(running(command, log))
    wait_for(exporter + "/-/ready", process, log)
    console.print(f"Live page   {exporter}/")
    console.print(f"Exporter    {exporter}/metrics")
    program = shutil.which("prometheus")
    if program is None:
        console.print("Prometheus  not found on this machine: the exporter is read directly")
        return exporter, None
    prometheus_port = free_port()
    prometheus = f"http://127.0.0.1:{prometheus_port}"
    log = directory / "prometheus.log"
    scraping = series.prometheus_command(program, directory, port, prometheus_port)
    process = stack.enter_context(running(scraping, log))
    wait_for(prometheus + "/-/ready", process, log)
    console.print(f"Prometheus  {prometheus}")
    return exporter, lambda promql: series.query(prometheus, promql)


def _watch(exporter: str, ranks: list[training.Rank], steps: int, console: Console) -> None:
    """A bar that follows the series themselves, until every rank has ended."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("starting", total=steps * len(ranks))
        while not _finished(ranks):
            done = sum(each.value + 1 for each in series.on_page(exporter, STEP))
            losses = [
                each.value
                for each in series.on_page(exporter, METRIC)
                if each.labels["key"] == "train/loss"
            ]
            text = f"loss {sum(losses) / len(losses):.3f}" if losses else "starting"
            progress.update(task, completed=done, description=text)
            time.sleep(POLL_SECONDS)
        progress.update(task, completed=steps * len(ranks))


def _finished(ranks: list[training.Rank]) -> bool:
    """Whether all have; each is asked, so that a failure shows even while others train."""
    states = [rank.finished() for rank in ranks]
    return all(states)


def _show(exporter: str, ask: Ask | None, written: int, console: Console) -> None:
    """Wait until every line has arrived, then print the table and what to try."""
    source = "the exporter" if ask is None else "Prometheus"
    read = ask or (lambda name: series.on_page(exporter, name))
    deadline = time.monotonic() + ARRIVE_SECONDS
    while (arrived := int(sum(each.value for each in read(RECORDS)))) != written:
        if time.monotonic() > deadline:
            raise DemoError(f"{written} log calls were written, {arrived} arrived in {source}")
        time.sleep(POLL_SECONDS)
    console.print(f"{written} log calls, {written} lines on disk, {arrived} records in {source}.\n")
    console.print(_table(read(METRIC), read(STEP)))
    console.print("\nPromQL to try:")
    for what, promql in PROMQL.items():
        answer = "" if ask is None else "   → " + _values(ask(promql))
        console.print(f"  {promql}", style="bold", highlight=False, soft_wrap=True, end="")
        console.print(f"   ({what}){answer}", highlight=False, markup=False, soft_wrap=True)


def _table(metrics: list[Series], steps: list[Series]) -> Table:
    """A column for each rank, a row for each key."""
    ranks = sorted(steps, key=_place)
    values = {(_place(each), each.labels["key"]): each.value for each in metrics}
    table = Table(Column("node:rank", no_wrap=True), *(":".join(_place(each)) for each in ranks))
    table.add_row("last step", *(f"{each.value:.0f}" for each in ranks), end_section=True)
    for key in sorted({key for _, key in values}):
        numbers = (values.get((_place(each), key)) for each in ranks)
        table.add_row(key, *("" if number is None else f"{number:.4g}" for number in numbers))
    return table


def _place(each: Series) -> tuple[str, str]:
    return each.labels["node_rank"], each.labels["local_rank"]


def _values(vector: list[Series]) -> str:
    return ", ".join(f"{each.value:.4g}" for each in vector) or "nothing yet"
