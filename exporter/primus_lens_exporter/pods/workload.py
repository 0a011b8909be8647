# SPDX-License-Identifier: Apache-2.0
"""The workload that a pod belongs to, told from the pod alone.

A pod names its direct owner only; who owns that (a Deployment, a CronJob, a RayJob) takes
either more calls and more rights or the marks that the controllers leave on their pods.
Those are listed here. A user can put such labels on a pod of their own: they say what a pod
is part of within its namespace, never who it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Workload(NamedTuple):
    """What a user created, as Kubernetes calls it."""

    kind: str
    name: str


class Owner(NamedTuple):
    """A pod's controller: its ownerReference with `controller: true`."""

    group: str
    """Of its API, without the version; empty for the core API."""

    kind: str
    name: str


class Mark(NamedTuple):
    """A label that holds the name of a pod's workload."""

    label: str
    kind: str = ""
    kind_label: str = ""
    """The label whose value tells the kind, by KINDS, where `kind` is empty."""


# The first that a pod carries counts, so what owns others stands before them.
MARKS = (
    # Primus-SaFE puts the root workload's name on each pod, and its kind on none: that stays
    # on its own resource, whose kind is Workload (AMD-AGI/Primus-SaFE, WorkloadIdLabel).
    Mark("primus-safe.workload.id", "Workload"),
    # KubeRay: a RayJob or RayService makes a RayCluster of another name.
    Mark("ray.io/originated-from-cr-name", kind_label="ray.io/originated-from-crd"),
    Mark("ray.io/cluster", "RayCluster"),
    # A TrainJob makes a JobSet of its own name; a pod without this label counts as the JobSet's.
    Mark("trainer.kubeflow.org/trainjob-name", "TrainJob"),
    Mark("jobset.sigs.k8s.io/jobset-name", "JobSet"),
    Mark("leaderworkerset.sigs.k8s.io/name", "LeaderWorkerSet"),
    # Most are owned by their job; the launcher of an MPIJob is owned by a Job in between.
    Mark("training.kubeflow.org/job-name", kind_label="training.kubeflow.org/operator-name"),
    Mark("volcano.sh/job-name", "Job"),
)

KINDS = {
    "RayCluster": "RayCluster",
    "RayCronJob": "RayCronJob",
    "RayJob": "RayJob",
    "RayService": "RayService",
    "jaxjob-controller": "JAXJob",
    "mpi-operator": "MPIJob",
    "mpijob-controller": "MPIJob",
    "mxjob-controller": "MXJob",
    "paddlejob-controller": "PaddleJob",
    "pytorchjob-controller": "PyTorchJob",
    "tfjob-controller": "TFJob",
    "xgboostjob-controller": "XGBoostJob",
}

HASH_LABEL = "pod-template-hash"

# A CronJob names its Jobs for the minute they are due, since Kubernetes 1.21. The range is
# 2019 to 2046: the days and seconds that people append themselves (20261124) lie outside.
DUE = re.compile(r"(.+)-(?:2[6-9]|3\d)\d{6}")


def workload(pod: str, owner: Owner | None, labels: Mapping[str, str]) -> Workload:
    """The outermost workload that can be told; the pod itself if it stands alone."""
    for mark in MARKS:
        name = labels.get(mark.label)
        kind = mark.kind or KINDS.get(labels.get(mark.kind_label, ""))
        if name and kind:
            return Workload(kind, name)
    # A Node is the controller of static pods.
    if owner is None or owner.kind == "Node":
        return Workload("Pod", pod)
    return _owner_of(owner, labels) or Workload(owner.kind, owner.name)


def _owner_of(owner: Owner, labels: Mapping[str, str]) -> Workload | None:
    """What stands behind the built-in controllers that other ones create."""
    if (owner.group, owner.kind) == ("apps", "ReplicaSet"):
        name = owner.name.removesuffix("-" + labels.get(HASH_LABEL, ""))
        return Workload("Deployment", name) if name and name != owner.name else None
    if (owner.group, owner.kind) == ("batch", "Job") and (due := DUE.fullmatch(owner.name)):
        return Workload("CronJob", due[1])
    return None
