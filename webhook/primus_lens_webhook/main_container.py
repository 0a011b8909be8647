# SPDX-License-Identifier: Apache-2.0
"""Which container of a pod is the training, where nobody has named it, and why.

Other webhooks put their sidecars first as well as last, before us or after us: the position of
a container alone must not decide while anything else tells them apart.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from primus_lens_hook import contract

from primus_lens_webhook.document import Object, annotations_of, mapping, objects, text
from primus_lens_webhook.resources import limit

CONTAINERS = contract.ANNOTATION_PREFIX + "containers"
ANNOTATIONS = ("kubectl.kubernetes.io/default-container", "primus-safe.main.container")
# Extended resources of GPUs and the like: nvidia.com/gpu, nvidia.com/mig-1g.10gb, google.com/tpu,
# habana.ai/gaudi, aws.amazon.com/neuroncore, huawei.com/Ascend910, tencent.com/vcuda-core.
ACCELERATOR = re.compile(
    r"/mig-|gpu|tpu|npu|xpu|hpu|ipu|dcu|gcu|mlu|vcuda|gaudi|neuron|ascend"
    r"|qaic|furiosa|rebellions|tenstorrent|kunlun",
    re.IGNORECASE,
)
LONGEST_NAME = 63
LONGEST_RESOURCE = 317  # characters: a DNS name, a slash and a label
SIDECAR = re.compile(r"(.+[-_.])?sidecar([-_.].+)?|(csql|fluid-fuse)-.+")
SIDECARS = frozenset(
    {
        "aws-otel-collector", "bao-agent", "cloud-sql-proxy", "cloudsql-proxy", "consul-dataplane",
        "daprd", "datadog-agent", "envoy", "filebeat", "fluent-bit", "fluentd",
        "gke-gcsfuse-metadata-prefetch", "git-sync", "istio-proxy", "jfs-mount", "kube-rbac-proxy",
        "linkerd-proxy", "oauth2-proxy", "otc-container", "otel-collector", "promtail",
        "queue-proxy", "spiffe-helper", "tailscale", "vault-agent", "vector",
        "wait",  # of Argo Workflows
        "xray-daemon",
    }
)  # fmt: skip
IMAGES = frozenset(
    {
        "alloydb-auth-proxy", "argoexec", "aws-appmesh-envoy", "aws-otel-collector",
        "cloud-sql-proxy", "consul-dataplane", "daprd", "envoy", "fluent-bit", "gce-proxy",
        "gcs-fuse-csi-driver-sidecar-mounter", "git-sync", "kube-rbac-proxy", "kuma-dp",
        "oauth2-proxy", "proxyv2", "vault",
    }
)  # fmt: skip


class Choice(NamedTuple):
    """`why` is empty where there was nothing to choose, `warning` where it was no guess."""

    position: int
    why: str = ""
    warning: str = ""


def choose(pod: Object, containers: list[Object]) -> Choice:
    """Of one container or more. Raises Malformed."""
    names = [text(each, "name") for each in containers]
    if len(containers) == 1:
        return Choice(0)
    for annotation in ANNOTATIONS:
        name = annotations_of(pod).get(annotation)
        if name in names:
            return Choice(names.index(name), f"annotation {annotation}")
    accelerated = {i: what for i, each in enumerate(containers) if (what := _accelerator(each))}
    if accelerated:
        index, what = next(iter(accelerated.items()))
        return Choice(index, f"it asks for {what}", _warning(names[index], len(accelerated)))
    others = [index for index, each in enumerate(containers) if not _is_sidecar(each)]
    if not others:
        return Choice(0, "the first; all are known sidecars")
    index = others[0]
    which = "only one" if len(others) == 1 else "first"
    return Choice(
        index, f"the {which} that is no known sidecar", _warning(names[index], len(others))
    )


def _warning(name: str, candidates: int) -> str:
    if candidates < 2:
        return ""
    return f"the hook is in {name}, the first of {candidates} that may train; see {CONTAINERS}"


def _accelerator(container: Object) -> str:
    """A resource that the container asks for and that is one; "" if none."""
    resources = mapping(container, "resources")
    for key in mapping(resources, "limits"):
        name = str(key)[:LONGEST_RESOURCE]
        if "/" in name and ACCELERATOR.search(name) and limit(container, key) > 0:
            return name
    return "devices by a claim" if objects(resources, "claims") else ""


def _is_sidecar(container: Object) -> bool:
    name, image = text(container, "name"), text(container, "image")
    repository = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    known = name in SIDECARS or repository in IMAGES
    # The expression takes quadratic time for a name made for it; no API server takes a longer one.
    return known or (len(name) <= LONGEST_NAME and SIDECAR.fullmatch(name) is not None)
