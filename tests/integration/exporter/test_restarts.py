# SPDX-License-Identifier: Apache-2.0
"""What is said after a restart, a resume, a rotation or a copy is what was said before."""

import json
import shutil
import time

import pytest
from primus_lens_hook.recording.writer import Writer

from support.serving import Exporter, until

COUNT = 'primus_lens_wandb_records_total{node_rank="0",local_rank="1",run_id="r"}'
STEP = 'primus_lens_wandb_step{node_rank="0",local_rank="1",run_id="r"}'
LOSS = 'primus_lens_wandb_metric{node_rank="0",local_rank="1",run_id="r",key="loss"}'


def log(rank, *steps, run="r", max_bytes=1 << 20):
    """What the hook writes."""
    writer = Writer([str(rank)], max_bytes)
    for step in steps:
        row = {"timestamp": time.time(), "step": step, "data": {"loss": step}, "run": run}
        assert writer.write(json.dumps(row, separators=(",", ":")).encode()[:-1], run)
    writer.release()


def tell(rank, **runs):
    told = {run: {"start": time.time() - 900, **more} for run, more in runs.items()}
    (rank / "wandb_runs.json").write_text(json.dumps(told))


def three_numbers(exporter):
    return tuple(exporter.value(each) for each in (COUNT, STEP, LOSS))


def test_nothing_older_than_the_newest_is_ever_on_the_page(rank):
    log(rank, *range(60_000), max_bytes=1 << 26)
    exporter, seen = Exporter(rank.parent.parent), set()
    exporter.start()
    try:
        until(lambda: exporter.status("/-/healthy") == 200)
        while exporter.status("/-/ready") != 200 or not seen:
            if exporter.value(COUNT) is not None:
                seen.add(three_numbers(exporter))
    finally:
        exporter.__exit__()
    assert seen == {(60_000, 59_999, 59_999)}


@pytest.mark.parametrize("ago", [70, 5])
def test_a_run_that_was_finished_longer_ago_than_the_grace_has_no_series(rank, ago):
    log(rank, 1, 2)
    tell(rank, r={"finish": time.time() - ago})
    with Exporter(rank.parent.parent) as exporter:
        exporter.lines("ok", 2)
        time.sleep(0.5)
        assert (exporter.value(COUNT) is None) == (ago > 60)


def test_a_sweep_of_which_the_hook_lists_the_newest(rank):
    for trial in range(300):
        log(rank, *range(3), run=f"trial{trial}")
    tell(rank, **{f"trial{each}": {"start": time.time()} for each in range(299, 300)})
    with Exporter(rank.parent.parent, "--series.grace-seconds=1") as exporter:
        exporter.lines("ok", 900)
        until(lambda: exporter.series().count("primus_lens_wandb_records_total{") == 1)
        assert 'run_id="trial299"' in exporter.series()


def test_the_count_goes_on_over_a_resume_a_restart_and_deleted_segments(rank):
    log(rank, *range(1000), max_bytes=1 << 17)
    with Exporter(rank.parent.parent, "--series.grace-seconds=1") as exporter:
        exporter.wait(COUNT, 1000)
        tell(rank, r={"finish": time.time(), "records": 1000})
        until(lambda: exporter.value(COUNT) is None)
        tell(rank, r={"records": 1000})
        log(rank, *range(1000, 1100), max_bytes=1 << 17)
        exporter.wait(COUNT, 1100)
    for path in rank.glob("wandb_metrics.*.jsonl"):
        path.unlink()
    with Exporter(rank.parent.parent) as exporter:
        exporter.wait(COUNT, 1100)
        assert three_numbers(exporter) == (1100, 1099, 1099)


def test_a_copy_in_its_place_changes_nothing(rank, tmp_path):
    log(rank, *range(2000), max_bytes=1 << 18)
    with Exporter(rank.parent.parent) as exporter:
        exporter.wait(COUNT, 2000)
        shutil.copytree(rank, tmp_path / "copy")  # all times are now
        rank.rename(tmp_path / "away")
        (tmp_path / "copy").rename(rank)
        log(rank, *range(2000, 2010), max_bytes=1 << 18)
        exporter.wait(COUNT, 2010)
        assert three_numbers(exporter) == (2010, 2009, 2009)
    with Exporter(rank.parent.parent) as exporter:
        exporter.wait(COUNT, 2010)
        assert three_numbers(exporter) == (2010, 2009, 2009)


def test_a_directory_that_is_begun_anew_counts_from_one(rank):
    log(rank, 1, 2, 3)
    with Exporter(rank.parent.parent) as exporter:
        exporter.wait(COUNT, 3)
        shutil.rmtree(rank)
        rank.mkdir()
        log(rank, 1)
        exporter.wait(COUNT, 1)


def test_one_rank_and_run_below_two_paths_is_told(rank, tmp_path):
    log(rank, 1)
    shutil.copytree(rank, tmp_path / "other" / "node_0" / "rank_1")
    with Exporter(rank.parent.parent, "--records.path", tmp_path / "other") as exporter:
        exporter.wait("primus_lens_exporter_shared_runs_total", 1)
    assert "one rank and run in several directories" in exporter.log
