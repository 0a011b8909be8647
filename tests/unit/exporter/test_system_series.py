# SPDX-License-Identifier: Apache-2.0
"""Samples of the system, as the page has them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.decode import decode
from primus_lens_exporter.series.store import Store
from primus_lens_hook import contract
from prometheus_client.parser import text_string_to_metric_families

from support.holding import Holder, give

POD = (("namespace", "n"), ("pod", "p"), ("container", "c"), ("node", "x"), ("node_rank", "0"))
NOW = 1.7e9
IDENTITY = "n", "p", "c", "x", "0"
RANKS = [(*POD, ("local_rank", str(rank))) for rank in range(3)]
GPU = {"gpu_0_util": 85.0, "gpu_0_uuid": "GPU-1", "gpu_0_name": "H100", "gpu_0_power_watts": 300}


def sample(at=NOW, run="r", **data):
    named = {contract.SAMPLE_PREFIX + name: value for name, value in data.items()}
    return Record(at, named, None, run, sample=True)


def line(at=NOW, **data):
    found = sample(at, **data)
    text = {"timestamp": at, "step": None, "data": found.data, "run": "r", "sample": True}
    return json.dumps(text).encode() + b"\n"


def take(store, holder, *records, rank=RANKS[0]):
    give(store, rank, list(records), holder)


def on_page(store):
    """Values by the family and all labels."""
    text = b"".join(store.parts()).decode()
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    values = {
        (each.name.removeprefix("primus_lens_"), *each.labels.values()): each.value
        for each in found
    }
    assert len(values) == len(found)
    return values


@pytest.fixture
def store():
    return Store(SeriesRules())


def test_a_sample_is_series_of_the_pod_of_the_rank_and_of_its_gpus(store):
    (read,) = decode(
        line(sys_cpu_percent=12.5, process_threads=7, node_disk_read_bytes_total=9, **GPU)
    ).records
    take(store, Holder(), read, rank=RANKS[1])
    gpu = *IDENTITY, "0", "GPU-1"
    assert on_page(store) == {
        ("system_cpu_utilization_ratio", *IDENTITY): 0.125,
        ("system_node_disk_read_bytes_total", *IDENTITY): 9,
        ("system_process_threads", *IDENTITY, "1"): 7,
        ("gpu_utilization_ratio", *gpu): 0.85,
        ("gpu_power_watts", *gpu): 300,
        ("gpu_info", *gpu, "H100"): 1,
    }


@pytest.mark.parametrize(
    ("name", "metric", "kind"),
    [
        ("sys_memory_percent", "system_memory_utilization_ratio", "gauge"),
        ("sys_network_receive_bytes_total", "system_network_receive_bytes_total", "counter"),
        ("node_cpu_percent", "system_node_cpu_utilization_ratio", "gauge"),
        ("node_memory_total_bytes", "system_node_memory_total_bytes", "gauge"),
        ("container_cpu_seconds_total", "system_container_cpu_seconds_total", "counter"),
        ("process_count", "system_processes", "gauge"),
        ("gpu_7_ecc_errors_total", "gpu_ecc_errors_total", "counter"),
        ("gpu_999_temperature_celsius", "gpu_temperature_celsius", "gauge"),
    ],
)
def test_names_and_kinds(store, name, metric, kind):
    take(store, Holder(), sample(**{name: 50}))
    assert f"# TYPE primus_lens_{metric} {kind}\n" in b"".join(store.parts()).decode()
    assert set(on_page(store).values()) == {0.5 if metric.endswith("ratio") else 50}


def test_samples_are_no_log_calls(store):
    holder, run = Holder(), (*IDENTITY, "0", "r")
    take(store, holder, sample(sys_cpu_percent=1), sample(run="s", sys_cpu_percent=1))
    assert list(on_page(store)) == [("system_cpu_utilization_ratio", *IDENTITY)]
    logged = Record(NOW, {"loss": 1}, None, "r")
    forged = Record(NOW + 1, {"loss": 2}, None, "r", sample=True)
    take(store, holder, sample(NOW - 1, sys_cpu_percent=2), logged, forged)
    for value in (0.02, 0.04):
        assert on_page(store)["wandb_records_total", *run] == 1
        assert on_page(store)["wandb_metric", *run, "loss"] == 1
        assert on_page(store)["wandb_last_record_timestamp_seconds", *run] == NOW
        assert on_page(store)["system_cpu_utilization_ratio", *IDENTITY] == value
        take(store, holder, sample(NOW + 6, sys_cpu_percent=4))


def test_what_rows_carry_of_a_sample_makes_no_series_and_is_not_dropped(store):
    holder = Holder(4)
    ours = {"_primus_sys_cpu_percent": 1, "_primus_gpu_0_util": 2.0, "_primus_lens_enabled": True}
    take(store, holder, Record(NOW, {**ours, "loss": 1}, 1, "r"))
    assert [key[-1] for key in on_page(store) if key[0] == "wandb_metric"] == ["loss"]
    assert not holder.drops


def test_a_pod_is_there_once_and_as_long_as_a_rank_that_said_it(store):
    holders = [Holder(), Holder()]
    for rank, holder in zip(RANKS, holders, strict=False):
        take(store, holder, sample(sys_cpu_percent=1, process_threads=2, **GPU), rank=rank)
    assert len(on_page(store)) == 4 + 2
    store.release(holders[0])
    assert len(on_page(store)) == 4 + 1
    store.release(holders[1])
    assert list(store.parts()) == []
    assert [holder.quota.used for holder in holders] == [0, 0]


@pytest.mark.parametrize(("later", "value"), [(-1, 0.1), (0, 0.2), (1, 0.2)])
def test_the_newest_sample_of_all_ranks_holds(store, later, value):
    take(store, Holder(), sample(node_cpu_percent=10))
    take(store, Holder(), sample(NOW + later, node_cpu_percent=20), rank=RANKS[1])
    assert list(on_page(store).values()) == [value]


def test_a_clock_that_was_put_back_does_not_stop_a_rank(store):
    holder = Holder()
    for at in (NOW, NOW - 3600):
        take(store, holder, sample(at, node_cpu_percent=NOW - at))
    assert list(on_page(store).values()) == [36]


@pytest.mark.parametrize(("finish", "ends"), [(-5, False), (0, True), (60, True)])
def test_samples_end_with_their_run_unless_the_rank_goes_on(store, finish, ends):
    holder = Holder()
    take(store, holder, sample(sys_cpu_percent=1))
    generation = store.generation
    store.end(RANKS[0], "r", NOW + finish, holder)
    assert (list(store.parts()) == []) is ends
    assert (store.generation > generation) is ends


def test_samples_of_a_run_that_never_logged_end_with_it(store):
    holder = Holder()
    take(store, holder, sample(sys_cpu_percent=1))
    assert not store.describe(RANKS[0], "r", RunInfo({}, {}), holder)
    assert len(store) == 1
    assert not store.describe(RANKS[0], "r", RunInfo({}, {}, finish=NOW), holder)
    assert len(store) == 0


@pytest.mark.parametrize(
    "name",
    ["gpu_99999999999_util", "gpu_1000_util", "gpu_00_util", "gpu_-1_util", "gpu_0_unheard",
     "gpu_0_", "gpu__util", "gpu_0_uuid", "unheard", "gpu_\u0663_util", "gpu_0_util\n", ""],
)  # fmt: skip
def test_what_no_hook_says_makes_nothing(store, name):
    holder = Holder()
    take(store, holder, sample(**{name: 1}))
    assert list(store.parts()) == []
    assert not holder.drops


@pytest.mark.parametrize("value", ["text", None, {"_type": "x"}, [1]])
def test_what_is_no_number_makes_no_series(store, value):
    take(store, Holder(), sample(sys_cpu_percent=value, gpu_0_util=value))
    assert list(store.parts()) == []


@given(st.text(), st.text())
def test_any_uuid_and_name_survive_the_text_format(uuid, name):
    store = Store(SeriesRules(limits_label_bytes=8))
    take(store, Holder(), sample(gpu_0_uuid=uuid, gpu_0_name=name, gpu_0_util=1))
    if not any(c in uuid + name for c in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"):
        (info,) = (key for key in on_page(store) if key[0] == "gpu_info")
        assert all(len(text.encode()) <= 8 for text in info)


def test_a_gpu_in_anothers_place_replaces_its_series(store):
    holder = Holder()
    for uuid in ("GPU-1", "GPU-2"):
        take(store, holder, sample(**{**GPU, "gpu_0_uuid": uuid}))
    assert {key[7] for key in on_page(store)} == {"GPU-2"}
    assert holder.quota.used == len(store) == 3


def test_what_exceeds_the_quota_is_left_out_and_counted(store):
    holder = Holder(5)
    forged = {f"gpu_{index}_util": 1 for index in range(2000)}
    for _ in range(2):
        take(store, holder, sample(**forged))
    assert len(store) == holder.quota.used == 5
    assert holder.drops == {"series_per_pod": 2 * 995}
    store.release(holder)
    assert holder.quota.used == 0
