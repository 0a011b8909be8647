# SPDX-License-Identifier: Apache-2.0
"""A real exporter follows files that are really written, rotated, broken and deleted."""

import json
import os
import shutil
import time

import pytest

from support.serving import Exporter, record, until

LOSS = 'primus_lens_wandb_metric{node_rank="0",local_rank="1",run_id="r",key="loss"}'
RECORDS = 'primus_lens_wandb_records_total{node_rank="0",local_rank="1",run_id="r"}'


@pytest.fixture
def current(rank):
    return rank / "wandb_metrics.jsonl"


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_a_file_that_grows(exporter, current):
    append(current, record(loss=1))
    exporter.wait(LOSS, 1)
    append(current, record(loss=2)[:20])
    append(current, record(loss=2)[20:])
    exporter.wait(LOSS, 2)
    exporter.wait(RECORDS, 2)


def test_after_a_restart_everything_is_read_again_and_nothing_counted_twice(
    exporter, rank, current
):
    append(rank / "wandb_metrics.1.jsonl", record(loss=1) * 5)
    append(current, record(loss=2) * 3)
    exporter.wait(RECORDS, 8)
    with Exporter(exporter.root) as restarted:
        restarted.wait(RECORDS, 8)
        append(current, record(loss=3))
        restarted.wait(LOSS, 3)
        restarted.wait(RECORDS, 9)


def test_rotation_and_all_segments(tmp_path, rank, current):
    for number in range(1, 4):
        (rank / f"wandb_metrics.{number}.jsonl").write_bytes(record(loss=number) * 10)
        time.sleep(0.02)
    current.write_bytes(record(loss=4))
    with Exporter(tmp_path / "records") as exporter:
        exporter.wait(LOSS, 4)
        exporter.wait(RECORDS, 31)
        append(current, record(loss=5))
        current.rename(rank / "wandb_metrics.4.jsonl")
        append(current, record(loss=6))
        (rank / "wandb_metrics.1.jsonl").unlink()
        exporter.wait(LOSS, 6)
        exporter.wait(RECORDS, 33)


def test_a_second_process_of_the_rank_adds_to_the_same_run(exporter, rank, current):
    append(current, record(loss=1))
    append(rank / "wandb_metrics.p123.jsonl", record(loss=2) * 3)
    exporter.wait(RECORDS, 4)


def test_truncation_and_replacement(exporter, rank, current):
    append(current, record(loss=1) * 3)
    exporter.wait(RECORDS, 3)
    current.write_bytes(record(loss=2))
    exporter.wait(LOSS, 2)
    exporter.events("truncated", 1)
    (rank / "new").write_bytes(record(loss=3) * 2)
    (rank / "new").replace(current)
    exporter.wait(LOSS, 3)
    exporter.wait(RECORDS, 6)


def test_bad_lines_are_counted_by_reason(exporter, current):
    append(current, record(loss=1))
    append(current, b'{"timestamp":1,"data":{"loss":NaN}}\n' * 2 + b"\xff\n{\n[]\n")
    append(current, b'{"timestamp":1,"da' + record(loss=2) + b"x" * (100 << 20) + b"\n")
    append(current, b'{"timestamp":1,"data":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}\n")
    append(current, b"\0\0" + record(loss=3))
    exporter.wait(LOSS, 3)
    for result, count in [
        ("ok", 2), ("repaired", 3), ("torn", 1), ("invalid_json", 2), ("wrong_type", 1),
        ("too_deep", 1), ("too_long", 1),
    ]:  # fmt: skip
        exporter.lines(result, count)
    assert exporter.value("primus_lens_exporter_faults_total") == 0


def test_hostile_things_in_the_files_place(exporter, rank):
    os.mkfifo(rank / "wandb_metrics.1.jsonl")
    (rank / "wandb_metrics.2.jsonl").mkdir()
    (rank / "wandb_metrics.3.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(rank / "wandb_runs.json")
    (rank / "wandb_runs.p1.json").symlink_to("/etc/passwd")
    exporter.refused("not_regular", 3)
    exporter.refused("link", 2)
    append(rank / "wandb_metrics.jsonl", record(loss=1))
    exporter.wait(LOSS, 1)
    exporter.refused("not_regular", 3)  # once for each file, not once for each look


def test_a_second_name_of_a_file_is_not_read_again(exporter, rank, current):
    append(current, record(loss=1) * 3)
    exporter.wait(RECORDS, 3)
    for name in "123":
        os.link(current, rank / f"wandb_metrics.{name}.jsonl")
    append(current, record(loss=2))
    exporter.wait(LOSS, 2)
    append(rank / "wandb_metrics.p1.jsonl", record(loss=3))
    exporter.wait(LOSS, 3)
    exporter.wait(RECORDS, 5)
    exporter.events("opened", 2)


def test_a_file_with_another_name_elsewhere_is_not_read(exporter, tmp_path, rank, current):
    (tmp_path / "secret").write_bytes(record(secret=1))
    os.link(tmp_path / "secret", current)
    exporter.refused("hard_link", 1)
    append(rank / "wandb_metrics.p1.jsonl", record(loss=3))
    exporter.wait(LOSS, 3)
    assert "secret" not in exporter.series()


def test_linked_directories_are_not_entered(exporter, tmp_path, rank):
    (tmp_path / "elsewhere" / "rank_0").mkdir(parents=True)
    append(tmp_path / "elsewhere" / "rank_0" / "wandb_metrics.jsonl", record(secret=1))
    (tmp_path / "records" / "node_7").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "records" / "node_0" / "rank_7").symlink_to(tmp_path / "elsewhere" / "rank_0")
    append(rank / "wandb_metrics.jsonl", record(loss=1))
    exporter.wait(LOSS, 1)
    assert "secret" not in exporter.series()


def without_rights(root):
    """An exporter to which permissions mean something, also as root."""
    capabilities = "-dac_override,-dac_read_search"
    wrapper = ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]
    return Exporter(root, wrapper=wrapper if os.geteuid() == 0 else [])


@pytest.mark.exhaustive
@pytest.mark.parametrize("what", [".", "..", "wandb_metrics.jsonl"])
def test_no_permission(tmp_path, rank, current, what):
    append(current, record(loss=1))
    path = (rank / what).resolve()
    path.chmod(0)
    with without_rights(tmp_path / "records") as exporter:
        exporter.refused("permission", 1)
        path.chmod(0o755)
        exporter.wait(LOSS, 1)


@pytest.mark.exhaustive
def test_a_directory_that_cannot_be_listed_for_a_while_is_not_read_twice(tmp_path, rank, current):
    append(current, record(loss=1) * 10)
    with without_rights(tmp_path / "records") as exporter:
        exporter.wait(RECORDS, 10)
        (tmp_path / "records").chmod(0)
        (rank.parent / "rank_5").mkdir()  # something has changed: it looks
        refused = 'primus_lens_exporter_refused_files_total{reason="permission"}'
        until(lambda: exporter.value(refused) > 0)
        (tmp_path / "records").chmod(0o755)
        append(current, record(loss=2))
        exporter.wait(LOSS, 2)
        time.sleep(1.5)
        exporter.wait(RECORDS, 11)


def test_deleted_while_read(exporter, rank, current):
    append(current, record(loss=1) * 50_000)
    exporter.wait(LOSS, 1)
    append(current, record(loss=2))
    current.unlink()
    exporter.wait(LOSS, 2)
    exporter.wait(RECORDS, 50_001)
    exporter.wait("primus_lens_exporter_files", 0)


@pytest.mark.exhaustive
def test_the_last_values_of_a_gone_directory_stay_for_the_grace(tmp_path, rank, current):
    append(current, record(loss=1))
    with Exporter(tmp_path / "records", "--series.grace-seconds", "3") as exporter:
        exporter.wait(LOSS, 1)
        append(current, record(loss=2))
        shutil.rmtree(rank)
        exporter.wait(LOSS, 2)
        until(lambda: exporter.value(LOSS) is None)
        exporter.wait("primus_lens_exporter_series", 0)


@pytest.mark.exhaustive
def test_five_thousand_files(tmp_path, rank):
    for number in range(5000):
        (rank / f"wandb_metrics.p{number}.jsonl").write_bytes(record(loss=number))
    limits = "--limits.files-per-pod=5000", "--limits.directory-entries=10000"
    with Exporter(tmp_path / "records", *limits) as exporter:
        exporter.wait(RECORDS, 5000)


@pytest.mark.exhaustive
def test_a_rank_that_was_long_quiet_is_noticed(exporter, current):
    append(current, record(loss=1))
    exporter.wait(LOSS, 1)
    time.sleep(12)
    append(current, record(loss=2))
    exporter.wait(LOSS, 2)


def test_run_info(exporter, rank, current):
    (rank / "wandb_runs.json").write_text(
        '{"r": {"project": "p", "entity": null, "world_size": 4, "more": []}, "unseen": {}}'
    )
    append(current, record(loss=1))
    labels = 'node_rank="0",local_rank="1",run_id="r",project="p",world_size="4"'
    exporter.wait("primus_lens_wandb_run_info{" + labels + "}", 1)


@pytest.mark.exhaustive
def test_step_fix_counters_of_all_processes_of_a_run(exporter, rank, current):
    for name, logs in ("wandb_runs.json", 3), ("wandb_runs.p7.json", 4):
        (rank / name).write_text(json.dumps({"r": {"step_fix": {"logs": logs, "conflicts": 1}}}))
    append(current, record(loss=1))
    labels = '{node_rank="0",local_rank="1",run_id="r"}'
    exporter.wait("primus_lens_wandb_step_fix_logs_total" + labels, 7)
    exporter.wait("primus_lens_wandb_step_fix_conflicts_total" + labels, 2)
    (rank / "new").write_text('{"r": {"step_fix": {"logs": 30, "conflicts": 9}}}')
    (rank / "new").replace(rank / "wandb_runs.json")
    exporter.wait("primus_lens_wandb_step_fix_logs_total" + labels, 34)


@pytest.mark.exhaustive
@pytest.mark.parametrize("text", ["", "[", "[]", '{"r": 1}', "\xff", '{"r": {"project": 3}}'])
def test_nonsense_run_info_costs_only_the_info(exporter, rank, current, text):
    (rank / "wandb_runs.json").write_text(text, encoding="latin-1")
    append(current, record(loss=1))
    exporter.wait(LOSS, 1)
    assert "run_info" not in exporter.series()


@pytest.mark.exhaustive
def test_memory_at_512_files_of_10_keys(tmp_path, rank):
    keys = {f"train/key_{number}": number / 3 for number in range(10)}
    for number in range(512):
        directory = tmp_path / "records" / f"node_{number // 8}" / f"rank_{number % 8}"
        directory.mkdir(parents=True, exist_ok=True)
        lines = b"".join(record(step, f"run{number}", **keys) for step in range(20))
        (directory / "wandb_metrics.jsonl").write_bytes(lines)
    with Exporter(tmp_path / "records", "--log.level", "warning") as exporter:
        exporter.lines("ok", 512 * 20)
        assert exporter.rss < 64 << 20
