# SPDX-License-Identifier: Apache-2.0
"""`primus-lens backfill`: arguments in, OpenMetrics out, what became of it on stderr."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from primus_lens_toolkit.flags import Parser, argument
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from primus_lens_exporter.backfill.convert import Summary, backfill
from primus_lens_exporter.backfill.files import find
from primus_lens_exporter.model.external_labels import added_label

DESCRIPTION = """\
Turn the JSONL files that the hook wrote into OpenMetrics text with the times at which
everything was logged, for Prometheus to take into its database. Nothing needs to have
been running while the training ran."""
EPILOG = """\
example:
  primus-lens backfill ./metrics -o metrics.om
  promtool tsdb create-blocks-from openmetrics metrics.om /var/lib/prometheus/data

The series are those that remote write sends: primus_lens_wandb_metric,
primus_lens_wandb_step, primus_lens_wandb_not_finite_total, and of system samples
primus_lens_system_* and primus_lens_gpu_*.
Prometheus takes new blocks in by itself within a minute or so, and deletes those that are
older than its retention (15 days unless it is told otherwise).
For runs of a cluster, give the labels that the exporter gives there:
  --label namespace=training --label pod=llama-0 --label container=trainer"""


def main(arguments: Sequence[str]) -> int:
    """Returns 0; 1 if something was left out; 2 for bad arguments or an unwritable FILE."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        found, refused = find(given.directories)
        total = sum(path.stat().st_size for paths in found.values() for path in paths)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    _tell_refused(refused)
    if not found:
        names = ", ".join(map(str, given.directories))
        parser.error(f"no node_*/rank_*/wandb_metrics.jsonl in {names}; name the output path")
    try:
        with _output(given.output) as out, _bar(total) as advance:
            summary = backfill(found, tuple(given.labels), out, advance)
    except BrokenPipeError:
        raise  # the command's own end: main.py of primus_lens_cli
    except OSError as error:
        parser.error(f"{given.output or 'standard output'}: {error.strerror}")
    _tell(summary, given.output)
    return 1 if refused or summary.read.refused else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser("primus-lens backfill", DESCRIPTION, EPILOG)
    parser.add_argument(
        "directories",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="a training's output path, which holds node_*/rank_*/",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="where to write [default: stdout]"
    )
    parser.add_argument(
        "--label",
        dest="labels",
        type=argument(added_label),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a label for every series; repeatable",
    )
    return parser


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """A file has its name only when it is whole; a device or a pipe must not be replaced."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar by bytes, if somebody is there to see it."""
    console = Console(stderr=True)
    columns = TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


def _tell(summary: Summary, output: Path | None) -> None:
    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    read, written = summary.read, summary.written
    _tell_refused(read.refused)
    left_out = f", {len(read.refused)} left out" if read.refused else ""
    tell(f"files    {read.files} read{left_out}")
    tell(f"lines    {_counts(+read.lines)}")
    dropped = f"; dropped: {_counts(summary.dropped)}" if summary.dropped else ""
    tell(f"samples  {written.samples} of {written.series} series{dropped}")
    if not summary.span:
        return
    tell("times    " + " to ".join(map(_utc, summary.span)))
    tell(f"next     promtool tsdb create-blocks-from openmetrics {output or 'FILE'} DATA_DIRECTORY")


def _tell_refused(refused: Mapping[Path, str]) -> None:
    for path, reason in refused.items():
        print(f"primus-lens backfill: {str(path)!r} left out: {reason}", file=sys.stderr)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _utc(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(" ", "seconds")
