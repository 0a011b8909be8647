# SPDX-License-Identifier: Apache-2.0
"""What became of a pod, and how the pod itself is told: the status annotation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from primus_lens_hook import __version__

INJECTED, SKIPPED = ("injected", "skipped")

# Why: who asked, for those that were injected …
POD_LABEL = "pod-label"
NAMESPACE_LABEL = "namespace-label"
# … and what kept the others from it.
ALREADY = "already"  # nothing is left to do
OPTED_OUT = "opted-out"
BAD_LABEL = "bad-label"  # neither enabled nor disabled
BAD_ANNOTATION = "bad-annotation"
MIRROR = "mirror"  # the kubelet's own picture of a static pod
OS = "os"
ARCH = "arch"
KNATIVE = "knative"
NO_CONTAINER = "no-container"
NAME_CONFLICT = "name-conflict"
MOUNT_CONFLICT = "mount-conflict"
MEMORY_LIMIT = "memory-limit"
EPHEMERAL_STORAGE_LIMIT = "ephemeral-storage-limit"
TOO_LARGE = "too-large"  # for a bound of ours
UNEXPECTED = "unexpected"  # no creation of a pod
ERROR = "error"
REASONS = (
    POD_LABEL, NAMESPACE_LABEL, ALREADY, OPTED_OUT, BAD_LABEL, BAD_ANNOTATION, MIRROR, OS, ARCH,
    KNATIVE, NO_CONTAINER, NAME_CONFLICT, MOUNT_CONFLICT, MEMORY_LIMIT, EPHEMERAL_STORAGE_LIMIT,
    TOO_LARGE, UNEXPECTED, ERROR,
)  # fmt: skip

LONGEST_DETAIL = 256  # characters: it may hold names and paths of the pod
LONGEST_STATUS = 64 << 10  # ours are shorter


class Decision(NamedTuple):
    """`python_env` says for each container what was done; see python_env.py."""

    decision: str
    reason: str
    detail: str = ""
    """For people: what is in the way, or why this container was chosen."""
    containers: tuple[str, ...] = ()
    python_env: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    """Of an injected pod: what may not be as its author expects."""

    def annotation(self) -> str:
        """The value of `primus-lens.io/status`."""
        status: dict[str, Any] = {"decision": self.decision, "reason": self.reason}
        if self.detail:
            status["detail"] = self.detail
        if self.warnings:
            status["warnings"] = list(self.warnings)
        status["hook"] = __version__
        status["containers"] = list(self.containers)
        status["python_env"] = dict(self.python_env)
        return json.dumps(status, separators=(",", ":"))


def skipped(reason: str, detail: str = "") -> Decision:
    """The detail is cut, since it ends in the pod, where all annotations share 256 KiB."""
    return Decision(SKIPPED, reason, shown(detail, LONGEST_DETAIL))


def shown(text: str, longest: int) -> str:
    """A text of a pod for people: no longer than that, and without control characters."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(each if each.isprintable() else "\ufffd" for each in cut)


class Skip(Exception):
    """The pod stays as it is."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.decision = skipped(reason, detail)
        super().__init__(self.decision.detail or reason)


def earlier(annotation: object) -> Mapping[str, str] | None:
    """`python_env` of an earlier injection, from the annotation; None if there was none.

    Whoever makes the pod can write anything there: nothing but this report rests on it.
    """
    if not isinstance(annotation, str) or len(annotation) > LONGEST_STATUS:
        return None
    try:
        status = json.loads(annotation)
    except (ValueError, RecursionError):
        return None
    if not isinstance(status, dict) or status.get("decision") != INJECTED:
        return None
    modes = status.get("python_env")
    return modes if isinstance(modes, dict) else {}
