# SPDX-License-Identifier: Apache-2.0
"""Pods that have the hook and write nothing, and that no other is taken for one."""

import datetime as dt
import json
import re
import time

import pytest
from primus_lens_exporter.pods import cache as caches
from primus_lens_exporter.pods import silent
from primus_lens_exporter.pods.cache import GRACE_SECONDS, READ_SECONDS, PodCache
from primus_lens_exporter.pods.document import decode

from support.api_server import ApiServer, pod
from support.kubelet import Kubelet, rank, series
from support.serving import Exporter, record, until

INJECTED = '{"decision":"injected","containers":["main"]}'
OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "controller": True}


def training(name, since=1000.0, phase="Running", decision="injected", **metadata):
    """A pod whose container has run since then, as the API writes it."""
    at = dt.datetime.fromtimestamp(since, dt.UTC).isoformat()
    annotations = {"primus-lens.io/status": INJECTED.replace("injected", decision)}
    document = pod(name, annotations=annotations, **metadata)
    state = {"running": {"startedAt": at}} if phase == "Running" else {"terminated": {}}
    document["status"] = {
        "phase": phase,
        "containerStatuses": [{"name": "main", "state": state}],
    }
    return document


def decoded(*arguments, **about):
    return decode(json.dumps(training(*arguments, **about)).encode(), ())


@pytest.fixture
def clock(monkeypatch):
    """A clock for the cache that moves when told to."""
    now = [0.0]
    monkeypatch.setattr(caches.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def cache(clock):
    """A cache that knew of a silent pod a minute ago."""
    cache = PodCache()
    cache.put(decoded("p"))
    clock[0] = READ_SECONDS
    return cache


def names(cache):
    """Of the pods that have a series, in its order."""
    (family,) = silent.SilentPods(cache).collect()
    return [sample.labels["pod"] for sample in family.samples]


def test_the_series_says_whose_it_is_and_for_how_long(cache):
    cache.put(decoded("p", time.time() - 1000, ownerReferences=[OWNER]))
    (family,) = silent.SilentPods(cache).collect()
    labels = {"namespace": "team", "pod": "p", "workload": "train", "workload_kind": "Job"}
    assert family.samples[0].labels == labels
    assert family.samples[0].value == pytest.approx(1000, abs=5)


def test_a_clock_that_is_behind_makes_no_negative_time(cache):
    cache.put(decoded("p", time.time() + 1000))
    (family,) = silent.SilentPods(cache).collect()
    assert family.samples[0].value == 0


@pytest.mark.parametrize(
    "about",
    [
        {"phase": "Pending"},
        {"phase": "Succeeded"},
        {"phase": "Failed"},
        {"decision": "skipped"},
    ],
    ids=str,
)
def test_one_that_should_not_write_has_none(cache, about):
    assert names(cache) == ["p"]
    cache.put(decoded("p", **about))
    assert names(cache) == []


def test_it_ends_with_the_first_record_and_for_good(cache):
    cache.wrote("uid-of-p")
    cache.put(decoded("p", since=2000.0))  # its container has started again
    assert names(cache) == []


def test_it_ends_with_the_pod(cache):
    cache.remove("uid-of-p")
    assert names(cache) == []


def test_nobody_is_silent_before_there_was_time_to_read(cache, clock):
    cache.put(decoded("new"))
    assert names(cache) == ["p"]
    clock[0] += READ_SECONDS
    assert names(cache) == ["p", "new"]


def test_what_is_forgotten_leaves_nothing_behind(cache, clock):
    cache.wrote("uid-of-p")
    cache.remove("uid-of-p")
    clock[0] += GRACE_SECONDS
    cache.forget()
    cache.wrote("uid-of-p")  # its files may be there for longer
    kept = cache._pods, cache._gone, cache._known, cache._wrote
    assert not any(kept)


def test_a_successor_of_the_same_name_has_the_one_series(cache):
    cache.put(decoded("p", since=2000.0, uid="second"))
    cache._known["second"] = 0.0
    assert names(cache) == ["p"]


def test_no_more_than_the_bound_and_the_longest_first(cache, clock):
    for number in range(silent.MAX_SERIES + 10):
        cache.put(decoded(f"p{number}", since=5000.0 - number))
    clock[0] += READ_SECONDS
    found = names(cache)
    assert len(found) == silent.MAX_SERIES
    assert found[:2] == ["p", f"p{silent.MAX_SERIES + 9}"]


# The real exporter.

FILE = "wandb_metrics.jsonl"
IMPATIENT = """
from primus_lens_cli.main import main
from primus_lens_exporter.pods import cache
cache.READ_SECONDS = 1.0
raise SystemExit(main())
"""


@pytest.fixture
def kubelet(tmp_path):
    with ApiServer() as server:
        yield Kubelet(tmp_path / "kubelet", server)


@pytest.fixture
def exporter(kubelet, tmp_path):
    """One that takes a pod for silent after a second."""
    environ = {"KUBECONFIG": str(kubelet.server.kubeconfig(tmp_path))}
    flags = "--records.kubelet-root", kubelet.root, "--kubernetes.node-name", "n1"
    made = Exporter(None, *flags, environ=environ)
    made.command[1:3] = ["-c", IMPATIENT]
    return made


def start(kubelet, name, since=1000.0):
    """A pod that trains; returns its rank's directory."""
    volume = kubelet.start(name, known=False)
    (uid,) = volume.relative_to(kubelet.root / "pods").parts[:1]
    kubelet.server.put(training(name, since, uid=uid))
    return rank(volume)


def silent_pods(exporter):
    return re.findall(
        r'^primus_lens_exporter_pod_silent_seconds{.*pod="(\w+)".*} ', exporter.page(), re.MULTILINE
    )


def test_a_pod_is_silent_until_its_first_record_is_read(exporter, kubelet):
    with exporter:
        directory = start(kubelet, "p")
        start(kubelet, "other")
        until(lambda: sorted(silent_pods(exporter)) == ["other", "p"])
        (directory / FILE).write_bytes(b"not a record\n")
        exporter.lines("invalid_json", 1)
        assert "p" in silent_pods(exporter)
        with (directory / FILE).open("ab") as file:
            file.write(record(loss=1))
        until(lambda: silent_pods(exporter) == ["other"])


@pytest.mark.exhaustive
def test_one_that_wrote_before_the_exporter_restarted_is_found_from_its_files(exporter, kubelet):
    (start(kubelet, "p") / FILE).write_bytes(record(loss=1))
    start(kubelet, "other")
    for _ in range(2):
        with exporter:
            exporter.wait(series("metric", "p", key="loss"), 1)
            until(lambda: silent_pods(exporter) == ["other"])


@pytest.mark.exhaustive
def test_a_pod_that_only_samples_the_system_is_not_silent(exporter, kubelet):
    with exporter:
        directory = start(kubelet, "p")
        start(kubelet, "other")
        until(lambda: sorted(silent_pods(exporter)) == ["other", "p"])
        (directory / FILE).write_bytes(record(_primus_sys_cpu_percent=1))
        until(lambda: silent_pods(exporter) == ["other"])
