# SPDX-License-Identifier: Apache-2.0
"""The directory that the operator names, and what else may have its path or those below it."""

import shutil
import time

import pytest

from support.serving import Exporter, record, set_link, until

GRACE = "--series.grace-seconds=1"


def training(directory, run, **data):
    """What a training wrote; returns its output path."""
    rank = directory / "node_0" / "rank_0"
    rank.mkdir(parents=True)
    (rank / "wandb_metrics.jsonl").write_bytes(record(run=run, **data))
    return directory


def runs(exporter):
    lines = exporter.series().splitlines()
    return [line.split('run_id="')[1][0] for line in lines if "records_total{" in line]


@pytest.mark.parametrize("place", ["node_7", "node_0/rank_7"])
@pytest.mark.parametrize("kind", ["link", "not_directory"])
def test_what_has_the_place_of_a_directory_and_is_none_is_counted_once(tmp_path, place, kind):
    records = training(tmp_path / "records", "r", loss=1)
    if kind == "link":
        (records / place).symlink_to(training(tmp_path / "elsewhere", "s", loss=2) / "node_0")
    else:
        (records / place).write_text("")
    with Exporter(records) as exporter:
        exporter.refused(kind, 1)
        (records / place).parent.joinpath("something").touch()  # the directory is listed again
        training(records / "node_1" / "x", "t")
        until(lambda: runs(exporter) == ["r"])
        exporter.refused(kind, 1)
    assert exporter.log.count(f"reason={kind}") == 1


def by_rename(latest, target):
    if latest.exists():
        latest.rename(latest.parent / "old")
    target.rename(latest)


@pytest.mark.parametrize("put", [set_link, pytest.param(by_rename, marks=pytest.mark.exhaustive)])
def test_another_directory_under_the_same_path_is_followed(tmp_path, put):
    first, second = training(tmp_path / "1", "1", loss=1), training(tmp_path / "2", "2", loss=2)
    latest = tmp_path / "latest"
    put(latest, first)
    with Exporter(latest, GRACE) as exporter:
        until(lambda: runs(exporter) == ["1"])
        put(latest, second)
        until(lambda: runs(exporter) == ["2"])
        with (latest / "node_0/rank_0/wandb_metrics.jsonl").open("ab") as file:
            file.write(record(run="2", loss=3))
        identity = 'node_rank="0",local_rank="0",run_id="2"'
        exporter.wait(f'primus_lens_wandb_metric{{{identity},key="loss"}}', 3)
        assert exporter.value(f"primus_lens_wandb_records_total{{{identity}}}") == 2


@pytest.mark.exhaustive
def test_a_rank_that_was_made_anew_is_not_read_twice(tmp_path):
    records = training(tmp_path / "records", "1", loss=1)
    with Exporter(records, "--series.grace-seconds=5") as exporter:
        until(lambda: runs(exporter) == ["1"])
        shutil.rmtree(records / "node_0")
        time.sleep(1)  # noticed
        training(records, "2", loss=2)
        until(lambda: runs(exporter) == ["2"])
        identity = 'node_rank="0",local_rank="0",run_id="2"'
        assert exporter.value(f"primus_lens_wandb_records_total{{{identity}}}") == 1


@pytest.mark.exhaustive
def test_a_link_that_leads_nowhere_for_a_while_ends_what_it_led_to(tmp_path):
    latest = tmp_path / "latest"
    set_link(latest, training(tmp_path / "1", "1", loss=1))
    with Exporter(latest, GRACE) as exporter:
        until(lambda: runs(exporter) == ["1"])
        set_link(latest, tmp_path / "2")
        until(lambda: runs(exporter) == [], 60)
        training(tmp_path / "2", "2", loss=2)
        until(lambda: runs(exporter) == ["2"], 60)


def test_a_directory_that_is_a_level_off_is_named_in_the_log(tmp_path):
    records = training(tmp_path / "records", "r", loss=1)
    with Exporter(records / "node_0" / "rank_0") as exporter:
        pass
    assert exporter.log.count("level=WARNING") == 1
    assert f"it is the directory of one rank; name {records}" in exporter.log
