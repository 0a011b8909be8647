# SPDX-License-Identifier: Apache-2.0
import pytest
from primus_lens_exporter.pods.workload import Owner, workload

KUBEFLOW = "training.kubeflow.org/"
RAY = "ray.io/"
JOBSET = "jobset.sigs.k8s.io/jobset-name"


def of(owner=None, **labels):
    return tuple(workload("the-pod", owner and Owner(*owner), labels.pop("labels", labels)))


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (None, {}, ("Pod", "the-pod")),
        (("", "Node", "n1"), {}, ("Pod", "the-pod")),
        (("apps", "StatefulSet", "web"), {}, ("StatefulSet", "web")),
        (("apps", "DaemonSet", "agent"), {}, ("DaemonSet", "agent")),
        (
            ("apps", "ReplicaSet", "web-6b7f"),
            {"pod-template-hash": "6b7f"},
            ("Deployment", "web"),
        ),
        (("apps", "ReplicaSet", "web-6b7f"), {}, ("ReplicaSet", "web-6b7f")),
        (
            ("apps", "ReplicaSet", "web-6b7f"),
            {"pod-template-hash": "ffff"},
            ("ReplicaSet", "web-6b7f"),
        ),
        (
            ("apps", "ReplicaSet", "-6b7f"),
            {"pod-template-hash": "6b7f"},
            ("ReplicaSet", "-6b7f"),
        ),
        (("batch", "Job", "train"), {}, ("Job", "train")),
        (("batch", "Job", "nightly-29399040"), {}, ("CronJob", "nightly")),
        (("batch", "Job", "train-20261124"), {}, ("Job", "train-20261124")),
        (("batch", "Job", "train-1764000000"), {}, ("Job", "train-1764000000")),
        (("batch.volcano.sh", "Job", "a-29399040"), {}, ("Job", "a-29399040")),
        (("batch.volcano.sh", "Job", "vc"), {"volcano.sh/job-name": "vc"}, ("Job", "vc")),
        (("kubeflow.org", "PyTorchJob", "llm"), {}, ("PyTorchJob", "llm")),
        (
            ("batch", "Job", "pi-launcher"),
            {KUBEFLOW + "job-name": "pi", KUBEFLOW + "operator-name": "mpi-operator"},
            ("MPIJob", "pi"),
        ),
        (
            ("batch", "Job", "x"),
            {KUBEFLOW + "job-name": "pi", KUBEFLOW + "operator-name": "somebody"},
            ("Job", "x"),
        ),
        (("batch", "Job", "set-w-0"), {JOBSET: "set"}, ("JobSet", "set")),
        (
            ("batch", "Job", "t-node-0"),
            {JOBSET: "t", "trainer.kubeflow.org/trainjob-name": "t"},
            ("TrainJob", "t"),
        ),
        (("ray.io", "RayCluster", "c"), {RAY + "cluster": "c"}, ("RayCluster", "c")),
        (
            ("ray.io", "RayCluster", "j-abcde"),
            {
                RAY + "cluster": "j-abcde",
                RAY + "originated-from-cr-name": "j",
                RAY + "originated-from-crd": "RayJob",
            },
            ("RayJob", "j"),
        ),
        (
            ("apps", "StatefulSet", "lws-0"),
            {"leaderworkerset.sigs.k8s.io/name": "lws"},
            ("LeaderWorkerSet", "lws"),
        ),
        (
            ("kubeflow.org", "PyTorchJob", "w-1"),
            {"primus-safe.workload.id": "w", "primus-safe.k8s.object.id": "w-1"},
            ("Workload", "w"),
        ),
        (("example.com", "Experiment", "e"), {JOBSET: ""}, ("Experiment", "e")),
    ],
)
def test_the_outermost_workload_that_a_pod_tells_of(owner, labels, expected):
    assert of(owner, labels=labels) == expected


@pytest.mark.parametrize("kind", ["tf", "pytorch", "mpi", "xgboost", "paddle", "jax", "mx"])
def test_each_kubeflow_job_is_told_by_its_controller(kind):
    labels = {KUBEFLOW + "job-name": "j", KUBEFLOW + "operator-name": f"{kind}job-controller"}
    found, name = of(labels=labels)
    assert (found.lower(), name) == (f"{kind}job", "j")
