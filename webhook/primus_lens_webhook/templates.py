# SPDX-License-Identifier: Apache-2.0
"""Where pods are in other objects: every pod template, wherever it lies.

A template is told by its shape, `spec.containers` below `template` or one of its longer
names, so that kinds nobody has thought of are found too: Jobs, CronJobs, Deployments, the
replica specs of Kubeflow, JobSets, Ray clusters, and Lists of all of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from primus_lens_webhook.document import Object
from primus_lens_webhook.patch import escaped

DEEPEST = 40


class Found(NamedTuple):
    """`path` is the JSON pointer to the pod or the template; "" for a Pod itself."""

    path: str
    pod: Object
    api_version: str
    """Of the object that it is a part of."""


def pods(document: object) -> Iterator[Found]:
    """Every pod and pod template of an object, in the order of the text."""
    yield from _below("", document, 0, "")


def _below(path: str, value: object, depth: int, api_version: str) -> Iterator[Found]:
    if depth > DEEPEST:
        return
    if isinstance(value, dict):
        api_version = str(value.get("apiVersion") or api_version)
        if _is_pod(path, value):
            yield Found(path, value, api_version)
            return
        for key, below in value.items():
            yield from _below(f"{path}/{escaped(str(key))}", below, depth + 1, api_version)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _below(f"{path}/{index}", below, depth + 1, api_version)


def _is_pod(path: str, value: Object) -> bool:
    spec = value.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("containers"), list):
        return False
    return value.get("kind") == "Pod" or path.lower().endswith("template")
