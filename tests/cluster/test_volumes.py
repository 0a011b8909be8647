# SPDX-License-Identifier: Apache-2.0
"""One release goes through every mode of its records' volume while trainings of each go on.

Those that run keep the volume that they were made with. The exporter reads emptyDirs in every
mode, and of shared volumes the one of now: the series of pods on another one end when the
exporter is replaced, while their records stay there. No training notices.
"""

import json
from pathlib import Path

import pytest

from support import cluster_release, cluster_world
from support.cluster_release import asked, create, identity, injected
from support.cluster_world import KUBELET_ROOT, kubectl
from support.injected_pods import RECORDS, Case
from support.serving import until

cluster_release.require()
cluster_world.require()  # its directories are the node's

TURNS = "emptyDir", "hostPath", "persistentVolumeClaim", "emptyDir"
GOES_ON = """
import time, wandb
run = wandb.init(mode="disabled")
for step in range(100_000):
    run.log({"loss": 1 / (step + 1)})
    time.sleep(0.2)
"""
SOMEBODY = {"securityContext": {"runAsUser": 1234}}


def volume(namespace, directory):
    """A claim in a namespace, and the volume that only this claim gets."""
    name, common = f"{namespace}-records", {"accessModes": ["ReadWriteMany"]}
    common["storageClassName"] = ""
    of_volume = {
        **common,
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": str(directory), "type": "Directory"},
        "claimRef": {"namespace": namespace, "name": "records"},
    }
    of_claim = {**common, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"name": "records", "namespace": namespace}
    items = [
        {"kind": "PersistentVolume", "metadata": {"name": name}, "spec": of_volume},
        {"kind": "PersistentVolumeClaim", "metadata": claim, "spec": of_claim},
    ]
    items = [{"apiVersion": "v1", **each} for each in items]
    everything = {"apiVersion": "v1", "kind": "List", "items": items}
    kubectl("create", "-f", "-", input=json.dumps(everything))
    return name


class World:
    """The release, the namespace of its users, and the pods that run there, by name."""

    def __init__(self, release, users, directory):
        self.release, self.users, self.running = release, users, {}
        self.directories = {kind: directory / kind for kind in TURNS[1:3]}
        shared = self.directories["persistentVolumeClaim"]
        shared.mkdir()
        shared.chmod(0o1777)
        self.volumes = [volume(each, shared) for each in (release.namespace, users)]
        self.records = {
            "emptyDir": {},
            "hostPath": {"hostPath": str(self.directories["hostPath"])},
            "persistentVolumeClaim": {"claimName": "records"},
        }

    def turn(self, number):
        mode = TURNS[number]
        if number == 0:
            self.release.install()
        else:
            self.release.upgrade(type=mode, **self.records[mode])
        self.release.settled("exporter")
        self.release.settled("webhook")
        until(lambda: mode in mode_of(asked(self.users)), 60)
        create(self.users, Case(f"ends-{number}", of_container=SOMEBODY))
        self.start(Case(f"goes-on-{number}", ["python3", "-c", GOES_ON]), mode)

    def start(self, case, mode):
        create(self.users, case)
        until(lambda: self.pod(case.name)["status"]["phase"] == "Running", 60)
        self.running[case.name] = mode, identity(self.pod(case.name))
        until(lambda: self.written(case.name), 60)

    def pod(self, name):
        return json.loads(kubectl("-n", self.users, "get", "pod", name, "-o", "json"))

    def written(self, name):
        """Bytes of records that a running pod has on the node."""
        mode, (uid, _) = self.running[name]
        place = Path(KUBELET_ROOT, "pods", uid, "volumes/kubernetes.io~empty-dir")
        place /= "primus-lens-records"
        if mode != "emptyDir":
            place = self.directories[mode] / self.users / name / uid
        return sum(each.stat().st_size for each in place.glob("node_*/rank_*/wandb_metrics*"))

    def recorded(self):
        """Records on the page, by pod."""
        page = self.release.page()
        return cluster_world.values(page, self.users, "primus_lens_wandb_records_total")


def mode_of(found):
    (each,) = [v for v in found["spec"]["volumes"] if v["name"] == "primus-lens-records"]
    return each


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("volumes")
    with cluster_world.namespace() as users, cluster_release.release("volumes") as release:
        made = World(release, users, directory)
        yield made
    kubectl("delete", "persistentvolume", "--wait=false", *made.volumes)


NAMES = [f"{number}-{mode}" for number, mode in enumerate(TURNS)]


@pytest.fixture(scope="module", params=range(len(TURNS)), ids=NAMES)
def turn(world, request):
    """After the release has gone over to the mode, and trainings have begun in it."""
    world.turn(request.param)
    return request.param


@pytest.mark.timeout(300)
def test_a_training_that_ends_is_exported_whole(world, turn):
    name = f"ends-{turn}"
    until(lambda: world.pod(name)["status"]["phase"] == "Succeeded", 120)
    until(lambda: world.recorded().get(name) == RECORDS, 30)


def test_trainings_of_every_turn_before_go_on(world, turn):
    assert len(world.running) == turn + 1
    for name, (_, before) in world.running.items():
        assert identity(world.pod(name)) == before
        written = world.written(name)
        until(lambda name=name, written=written: world.written(name) > written)


def test_series_go_on_for_emptydirs_and_for_the_volume_of_now(world, turn):
    known = {name for name, (mode, _) in world.running.items() if mode in ("emptyDir", TURNS[turn])}
    before = until(lambda: (found := world.recorded()).keys() >= known and found, 30)
    assert before.keys().isdisjoint(world.running.keys() - known)
    until(lambda: all(world.recorded().get(name, 0) > before[name] for name in known), 30)


@pytest.mark.timeout(120)
def test_after_uninstalling_nothing_is_left_but_trainings_that_go_on(world):
    assert len(world.running) == len(TURNS)
    ours = set(world.release.cluster_scoped()) - {f"persistentvolume/{v}" for v in world.volumes}
    assert len(ours) == 5
    world.release.helm.uninstall(world.release.name)
    assert ours.isdisjoint(world.release.cluster_scoped())
    assert not injected(asked(world.users))
    test_trainings_of_every_turn_before_go_on(world, len(TURNS) - 1)
