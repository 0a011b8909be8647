# SPDX-License-Identifier: Apache-2.0
"""Each limit bites: it is counted, the log names the pod once, and the rest goes on.

Where something becomes free, it is used again.
"""

import contextlib
import json
import os
import re

import pytest
from primus_lens_exporter.reading import runs_file
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.read_errors import ReadErrors
from primus_lens_exporter.reading.safe_open import SafeDirectory

from support.hostile import FILE, Node
from support.kubelet import rank, series
from support.reading import tenants_of
from support.serving import record, until

PATIENCE = 60  # a look at what nobody tells of comes every thirty seconds
GRACE = "--series.grace-seconds=1"


@pytest.fixture
def limited(tmp_path):
    """A node where one limit is set; on leaving it, the log has named the pod."""

    @contextlib.contextmanager
    def limited(reason, value):
        flag = f"--limits.{reason.replace('_', '-')}={value}"
        with Node(tmp_path, flag, GRACE) as node:
            yield node
            node.goes_on()
        assert re.search(f"reason={reason} .*pod=evil", node.exporter.log)

    return limited


def log(node, *lines, local=0, name=FILE, pod=None):
    with (rank(pod or node.evil, local=local) / name).open("ab") as file:
        file.writelines(lines)


def keys(count):
    return record(**{f"key{number}": number for number in range(count)})


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("reason", "value"), [("series_per_pod", 20), ("series_per_node", 20), ("keys_per_rank", 17)]
)
def test_series(limited, reason, value):
    with limited(reason, value) as node:
        log(node, keys(100))
        node.drops(reason)
        log(node, record(key0=7))
        node.exporter.wait(series("metric", "evil", key="key0"), 7)
        assert node.exporter.series().count("primus_lens_wandb_metric{") <= 17 + 1
        node.exporter.lines("invalid_json", 0)


@pytest.mark.exhaustive
def test_series_of_a_pod_that_is_gone_are_anothers(limited):
    with limited("series_per_node", 20) as node:
        log(node, keys(100))
        node.drops("series_per_node")
        other = node.kubelet.start("other")
        node.kubelet.remove(node.evil)
        until(lambda: 'pod="evil"' not in node.exporter.series(), PATIENCE)
        log(node, record(loss=1), pod=other)
        node.exporter.wait(series("metric", "other", key="loss"), 1)


@pytest.mark.exhaustive
def test_labels_that_are_too_long(limited):
    with limited("label_bytes", 20) as node:
        (rank(node.evil) / "wandb_runs.json").write_text('{"r": {"name": "%s"}}' % ("é" * 20))
        log(node, record(**{"k" * 21: 1, "k" * 20: 2}), record(run="r" * 21))
        node.drops("label_bytes")
        node.exporter.wait(series("metric", "evil", key="k" * 20), 2)
        until(lambda: 'name="éééééééééé"' in node.exporter.series())
        assert node.exporter.series().count('pod="evil"') == 5


def test_lines_that_are_too_long(tmp_path):
    with Node(tmp_path, "--limits.line-bytes=200") as node:
        log(node, record(loss=1), record(text="x" * 200), record(loss=2))
        node.exporter.lines("too_long", 1)
        node.exporter.lines("invalid_json", 0)  # nor is what is left of it taken for a line
        node.exporter.wait(series("metric", "evil", key="loss"), 2)
        assert node.counted("evil") == 2
        node.goes_on()


def a_tenant():
    return tenants_of(Counts()).directory("x")


def test_looking_takes_a_twentieth_of_the_time():
    tenant = a_tenant()
    looks = []
    for tenths in range(1000):
        while tenant.may_look(tenths / 10):
            tenant.looked(tenths / 10, 0.01)
            looks.append(0.01)
    assert 4.9 < sum(looks) < 5.2


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("reason", "value"), [("bytes_per_tick", 1000), ("seconds_per_tick", 1e-6)]
)
def test_reading_in_a_tick(limited, reason, value):
    with limited(reason, value) as node:
        log(node, *[record(loss=1)] * 20_000)
        node.limits(reason)
        until(lambda: node.counted("evil") == 20_000, PATIENCE)
        node.exporter.wait('primus_lens_exporter_lag_bytes{namespace="team",pod="evil"}', 0)


def test_files_and_those_of_a_rank_that_is_gone(limited):
    with limited("files_per_pod", 2) as node:
        log(node, record(loss=1))
        log(node, record(loss=1), name="wandb_metrics.p1.jsonl")
        until(lambda: node.counted("evil") == 2)
        log(node, record(run="third", loss=1), local=1)
        os.utime(rank(node.evil, local=1), (1, 1))  # nothing there will change
        node.limits("files_per_pod")
        node.kubelet.remove(rank(node.evil))
        third = series("records_total", "evil", "third", local_rank="1")
        until(lambda: node.exporter.value(third) == 1, PATIENCE)


@pytest.mark.exhaustive
def test_ranks_and_the_place_of_one_that_is_gone(limited):
    with limited("ranks_per_volume", 2) as node:
        for local in range(3):
            log(node, record(run=str(local), loss=1), local=local)
        node.limits("ranks_per_volume")
        shown = until(lambda: [r for r in "012" if f'run_id="{r}"' in node.exporter.series()][1:])
        node.kubelet.remove(rank(node.evil, local=int(shown[0])))
        (left,) = {"0", "1", "2"} - set(re.findall(r'run_id="(\d)"', node.exporter.series()))
        until(lambda: f'run_id="{left}"' in node.exporter.series(), PATIENCE)


@pytest.mark.exhaustive
def test_ranks_that_are_gone_count_until_their_last_values_are(limited):
    with limited("ranks_per_volume", 2) as node:
        for local in range(2):
            log(node, record(loss=1), local=local)
        node.exporter.wait("primus_lens_exporter_rank_directories", 3)  # one is the honest pod's
        (node.evil / "node_0").rename(node.evil / "node_1")
        node.limits("ranks_per_volume")
        moved = series("records_total", "evil", node_rank="1")
        until(lambda: node.exporter.value(moved) == 1, PATIENCE)


def test_runs_that_are_told_of(tmp_path):
    root = SafeDirectory(str(tmp_path), hold=False)
    for number in range(3):
        runs = {f"{number}-{run}": {} for run in range(50_000)}
        (tmp_path / str(number)).write_text(json.dumps(runs))
    errors = ReadErrors(root.path, a_tenant())
    assert len(runs_file.read(root, ["0", "1", "2"], errors)) == runs_file.MAX_RUNS
    root.release()


@pytest.mark.exhaustive
def test_entries_of_a_directory_of_files(limited):
    with limited("directory_entries", 3) as node:
        for number in range(6):
            log(node, record(loss=1), name=f"wandb_metrics.p{number}.jsonl")
        node.limits("directory_entries")
        until(lambda: node.counted("evil"))
        for number in range(6):
            (rank(node.evil) / f"wandb_metrics.p{number}.jsonl").unlink()
        log(node, record(run="new", loss=1))
        until(lambda: node.counted("evil", "new") == 1, PATIENCE)


@pytest.mark.exhaustive
def test_entries_of_a_directory_of_directories(limited):
    with limited("directory_entries", 3) as node:
        for number in range(6):
            (node.evil / f"x{number}").mkdir()
        node.limits("directory_entries")
        for number in range(6):
            (node.evil / f"x{number}").rmdir()
        log(node, record(loss=1))
        until(lambda: node.counted("evil") == 1, PATIENCE)
