# SPDX-License-Identifier: Apache-2.0
"""The annotations that a pod gets. Must never make a pod too large for the API server."""

from __future__ import annotations

from primus_lens_webhook import decision
from primus_lens_webhook.decision import Skip
from primus_lens_webhook.document import Object, annotations_of, mapping
from primus_lens_webhook.patch import Patch

MAX_BYTES = 256 << 10  # of all together; apimachinery, TotalAnnotationSizeLimitB


class Annotations:
    """Those of one pod, and what is added to them. Raises Malformed."""

    def __init__(self, pod: Object, patch: Patch) -> None:
        self._pod = pod
        self._patch = patch
        self._all = dict(annotations_of(pod))

    def put(self, name: str, value: str) -> None:
        """Set one. Raises Skip where the API server would refuse the pod for it."""
        if self._all.get(name) == value:
            return
        self._all[name] = value
        if sum(_bytes(key) + _bytes(each) for key, each in self._all.items()) > MAX_BYTES:
            raise Skip(decision.TOO_LARGE, "the pod's annotations leave no room for the status")
        self._patch.ensure("", self._pod, "metadata")  # a template may be without
        metadata = mapping(self._pod, "metadata")
        self._patch.put("/metadata", metadata, "annotations", name, value)


def _bytes(value: object) -> int:
    return len(value.encode(errors="replace")) if isinstance(value, str) else 0
