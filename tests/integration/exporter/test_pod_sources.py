# SPDX-License-Identifier: Apache-2.0
"""A real exporter on a kubelet's directory and on a shared volume, with an API beside it."""

import os
import time

import pytest

from support.api_server import ApiServer, pod
from support.fuse import FaultyMount
from support.kubelet import Kubelet, rank, series
from support.serving import Exporter, record, until

FILE = "wandb_metrics.jsonl"


@pytest.fixture
def server():
    with ApiServer() as server:
        yield server


@pytest.fixture
def kubelet(tmp_path, server):
    return Kubelet(tmp_path / "kubelet", server)


@pytest.fixture
def environ(tmp_path, server):
    return {"KUBECONFIG": str(server.kubeconfig(tmp_path))}


@pytest.fixture
def exporter(kubelet, environ):
    flags = "--records.kubelet-root", kubelet.root, "--kubernetes.node-name", "n1"
    labels = "--kubernetes.pod-labels", "team"
    grace = "--series.grace-seconds", "3"
    with Exporter(None, *flags, *labels, *grace, environ=environ) as exporter:
        yield exporter


def test_a_pod_is_who_the_api_says_and_not_who_its_file_says(exporter, kubelet):
    forged = record(run="r", loss=1, namespace="x", pod="y").replace(b"}}", b'},"pod":"z"}')
    (rank(kubelet.start("p")) / FILE).write_bytes(forged + record(loss=2))
    exporter.wait(series("metric", "p", key="loss"), 2)
    assert exporter.series().count('pod="p"') == exporter.series().count("namespace=")


def test_a_volume_that_is_a_link_is_counted_once(exporter, kubelet, tmp_path):
    volume = kubelet.start("p")
    kubelet.remove(volume)
    volume.symlink_to(tmp_path)
    exporter.refused("link", 1)
    kubelet.start("q")  # the pods are listed again
    time.sleep(1)
    exporter.refused("link", 1)


def test_each_container_has_its_own_series(exporter, kubelet):
    volume = kubelet.start("p")
    (rank(volume / "main") / FILE).write_bytes(record(loss=1))
    (rank(volume / "nobody") / FILE).write_bytes(record(run="s", loss=2))
    exporter.wait(series("metric", "p", key="loss"), 1)
    exporter.wait(series("metric", "p", "s", key="loss"), 2)  # no such container: the pod's own


def test_run_info_tells_of_the_workload_and_of_allowed_labels(exporter, kubelet):
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "controller": True}
    volume = kubelet.start("p", labels={"team": "vision", "x": "y"}, ownerReferences=[owner])
    (rank(volume) / "wandb_runs.json").write_text('{"r": {"project": "llm"}}')
    (rank(volume) / FILE).write_bytes(record(loss=1))
    about = {"project": "llm", "workload": "train", "workload_kind": "Job", "label_team": "vision"}
    exporter.wait(series("run_info", "p", **about), 1)


@pytest.mark.exhaustive
def test_a_pod_that_is_gone_before_the_api_tells_of_it_is_read_whole(exporter, kubelet):
    volume = kubelet.start("p", known=False)
    (rank(volume) / FILE).write_bytes(record(loss=1) * 1000)
    exporter.wait("primus_lens_exporter_files", 1)
    kubelet.remove(volume)
    time.sleep(0.5)
    assert exporter.series() == ""
    kubelet.introduce("p")
    exporter.wait(series("records_total", "p"), 1000)
    until(lambda: exporter.series() == "")  # after the grace


def test_the_last_line_before_the_volume_is_deleted_is_read(exporter, kubelet):
    volume = kubelet.start("p")
    (rank(volume) / FILE).write_bytes(record(loss=1))
    time.sleep(0.5)  # of the 0.9 s that the kubelet takes
    with (rank(volume) / FILE).open("ab") as file:
        file.write(record(loss=2) * 5000)
    kubelet.remove(volume)
    exporter.wait(series("records_total", "p"), 5001)


def test_without_the_api_it_goes_on_with_what_it_knows(exporter, kubelet, server):
    volume = kubelet.start("p")
    (rank(volume) / FILE).write_bytes(record(loss=1))
    exporter.wait(series("metric", "p", key="loss"), 1)
    server.stop()
    try:
        with (rank(volume) / FILE).open("ab") as file:
            file.write(record(loss=2))
        exporter.wait(series("metric", "p", key="loss"), 2)
    finally:
        server.start()


@pytest.mark.exhaustive
def test_a_file_that_another_one_has_replaced_is_not_read_twice(exporter, kubelet):
    """Rotation while nobody looks at the names."""
    directory = rank(kubelet.start("p"))
    for number in range(1, 30):
        (directory / FILE).write_bytes(record(loss=number))
        (directory / FILE).rename(directory / f"wandb_metrics.{number}.jsonl")
    exporter.wait(series("records_total", "p"), 29)


# A shared volume.


@pytest.fixture
def shared(tmp_path):
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.mark.exhaustive
def test_of_a_shared_volume_only_the_nodes_own_pods_are_exported(shared, server, environ):
    uids = {}
    for name, node in ("mine", "n1"), ("theirs", "n2"):
        server.put(pod(name, node=node))
        uids[name] = f"uid-of-{name}"
        (rank(shared / "team" / name / uids[name]) / FILE).write_bytes(record(loss=1))
    forged = rank(shared / "team" / "other" / uids["mine"]) / FILE  # the UID of another pod
    forged.write_bytes(record(run="forged", loss=1))
    flags = "--records.shared-path", shared, "--kubernetes.node-name", "n1"
    with Exporter(None, *flags, environ=environ) as exporter:
        exporter.wait(series("metric", "mine", key="loss"), 1)
        assert 'pod="theirs"' not in exporter.series()
        assert "forged" not in exporter.series()


@pytest.mark.exhaustive
def test_a_single_exporter_of_all_nodes(shared, server, environ):
    server.put(pod("theirs", node="n2"))
    (rank(shared / "team/theirs/uid-of-theirs") / FILE).write_bytes(record(loss=1))
    flags = "--records.shared-path", shared, "--records.all-nodes"
    with Exporter(None, *flags, environ=environ) as exporter:
        until(lambda: 'pod="theirs",container="main",node="n2"' in exporter.series())


@pytest.mark.exhaustive
def test_a_shared_volume_that_hangs_costs_its_own_pods_alone(kubelet, server, environ, tmp_path):
    server.put(pod("there"))
    here = rank(kubelet.start("here")) / FILE
    with FaultyMount(tmp_path / "shared", tmp_path / "source") as mount:
        there = rank(mount.source / "team/there/uid-of-there") / FILE
        flags = "--records.kubelet-root", kubelet.root, "--records.shared-path", mount.path
        with Exporter(None, *flags, "--kubernetes.node-name", "n1", environ=environ) as exporter:
            there.write_bytes(record(loss=1))
            exporter.wait(series("metric", "there", key="loss"), 1)
            mount.freeze()
            stuck = f'primus_lens_exporter_stuck_seconds{{path="{mount.path}"}}'
            until(lambda: exporter.value(stuck))
            here.write_bytes(record(loss=2))
            exporter.wait(series("metric", "here", key="loss"), 2)
            mount.thaw()


@pytest.mark.exhaustive
def test_on_a_shared_volume_nothing_stays_open(shared, server, environ):
    server.put(pod("p"))
    directory = rank(shared / "team/p/uid-of-p")
    (directory / FILE).write_bytes(record(loss=1))
    flags = "--records.shared-path", shared, "--kubernetes.node-name", "n1"
    with Exporter(None, *flags, environ=environ) as exporter:
        for loss in range(2, 6):
            with (directory / FILE).open("ab") as file:
                file.write(record(loss=loss))
            exporter.wait(series("metric", "p", key="loss"), loss)
            until(lambda: not _open_below(exporter, shared), 2)
        (directory / FILE).rename(directory / "wandb_metrics.1.jsonl")
        (directory / FILE).write_bytes(record(loss=7))
        exporter.wait(series("metric", "p", key="loss"), 7)
        exporter.wait(series("records_total", "p"), 6)


def _open_below(exporter, path):
    directory = f"/proc/{exporter.process.pid}/fd"
    found = []
    for fd in os.listdir(directory):
        try:
            found.append(os.readlink(f"{directory}/{fd}"))
        except OSError:
            continue
    return [each for each in found if each.startswith(str(path))]
