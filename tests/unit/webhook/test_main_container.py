# SPDX-License-Identifier: Apache-2.0
"""Which of several containers gets the hook, and how the pod's author is told."""

import json
import time

import pytest
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

MAIN = "kubectl.kubernetes.io/default-container"
GPU = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}


def container(name, image="i", **rest):
    return {"name": name, "image": image, "command": ["python"], **rest}


def decided(*containers, annotations=()):
    pod = {"metadata": {"annotations": dict(annotations)}, "spec": {"containers": list(containers)}}
    return mutate(pod, Options())


@pytest.mark.parametrize(
    "first",
    [
        *map(
            container,
            ["gke-gcsfuse-sidecar", "istio-proxy", "linkerd-proxy", "vault-agent",
             "cloud-sql-proxy", "daprd", "envoy", "wait", "a-sidecar", "sidecar-x", "csql-a-b"],
        ),
        container("proxy", "registry:5000/istio/proxyv2:1.22@sha256:abc"),
        container("db", "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.1"),
    ],
    ids=lambda first: first["name"],
)  # fmt: skip
def test_a_sidecar_that_another_webhook_has_put_first_is_not_the_training(first):
    done = decided(first, container("train")).decision
    assert done.containers == ("train",)
    assert done.detail == "container train: the only one that is no known sidecar"
    assert done.warnings == ()


@pytest.mark.parametrize(
    "resource",
    ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared", "amd.com/gpu",
     "gpu.intel.com/i915", "google.com/tpu", "habana.ai/gaudi", "aws.amazon.com/neuron",
     "aws.amazon.com/neuroncore", "huawei.com/Ascend910", "cambricon.com/mlu",
     "volcano.sh/vgpu-number", "cloud-tpus.google.com/v3", "hygon.com/dcu", "furiosa.ai/rngd",
     "tencent.com/vcuda-core"],
)  # fmt: skip
def test_the_container_with_accelerators_is_the_training(resource):
    train = container("train", resources={"limits": {resource: "4"}})
    done = decided(container("helper"), train).decision
    assert (done.containers, done.warnings) == (("train",), ())
    assert done.detail == f"container train: it asks for {resource}"


@pytest.mark.parametrize(
    "resource", ["cpu", "rdma/hca", "vpc.amazonaws.com/efa", "hugepages-2Mi", "squat.ai/fuse"]
)
def test_other_resources_tell_nothing(resource):
    other = container("other", resources={"limits": {resource: "1"}})
    assert decided(container("train"), other).decision.containers == ("train",)


def test_no_accelerator_counts_that_nothing_is_asked_of():
    none = container("other", resources={"limits": {"nvidia.com/gpu": "0"}})
    assert decided(container("train"), none).decision.containers == ("train",)


def test_a_device_claim_is_an_accelerator():
    claims = container("train", resources={"claims": [{"name": "gpus"}]})
    assert decided(container("helper"), claims).decision.containers == ("train",)


def test_the_annotation_comes_before_accelerators():
    both = container("helper"), container("train", **GPU)
    done = decided(*both, annotations={MAIN: "helper"}).decision
    assert done.containers == ("helper",)
    assert done.detail == f"container helper: annotation {MAIN}"


def test_a_guess_is_warned_of():
    done = decided(container("a"), container("b"), container("istio-proxy"))
    (warning,) = done.decision.warnings
    assert done.decision.containers == ("a",)
    assert "the first of 2" in warning
    assert "primus-lens.io/containers" in warning
    (status,) = [o["value"] for o in done.operations if o["path"].endswith("~1status")]
    assert json.loads(status)["warnings"] == [warning]


def test_where_there_are_only_sidecars_the_first_is_taken():
    assert decided(container("vault-agent"), container("daprd")).decision.containers == (
        "vault-agent",
    )


def test_names_of_resources_that_are_no_text_are_passed_over():
    """YAML has such keys."""
    odd = container("odd", resources={"limits": {1: "2"}})
    assert decided(container("train"), odd).decision.containers == ("train",)


def test_names_made_for_it_cost_no_time():
    started = time.process_time()
    decided(container("-sidecar" * 100_000 + "\n"), container("train"))
    assert time.process_time() - started < 1


def test_of_one_container_there_is_nothing_to_say():
    done = decided(container("train", **GPU)).decision
    assert (done.detail, done.warnings) == ("", ())
