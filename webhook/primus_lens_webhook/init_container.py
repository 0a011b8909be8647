# SPDX-License-Identifier: Apache-2.0
"""The init container that copies the hook into its volume, and ends.

It must never ask for what its target, the container that it is for, does not ask for: a
namespace's policies, limits and quotas that admit the target must admit it too.
"""

from __future__ import annotations

from typing import Any

from primus_lens_hook import contract

from primus_lens_webhook.document import Object, mapping
from primus_lens_webhook.options import Options
from primus_lens_webhook.resources import compute_resources

COMMAND = ["primus-lens", "hook", "install", "--best-effort", "--to", contract.HOOK_MOUNT]
# OpenShift admits a pod under another SCC, or refuses it, for a user or a profile that its
# containers do not agree on; PodSecurity `restricted` wants each container to have one.
COPIED = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile", "seLinuxOptions")


def init_container(target: Object, options: Options) -> dict[str, Any]:
    """For a pod that has none yet. Raises Malformed."""
    made: dict[str, Any] = {
        "name": contract.HOOK_VOLUME,
        "image": options.inject_image,
        "imagePullPolicy": options.inject_image_pull_policy,
        "command": list(COMMAND),
        "securityContext": _security_context(target),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": contract.HOOK_VOLUME, "mountPath": contract.HOOK_MOUNT}],
    }
    # Of init containers and containers Kubernetes counts the greater: the same adds nothing.
    resources = compute_resources(target)
    if resources:
        made["resources"] = resources
    return made


def _security_context(target: Object) -> dict[str, Any]:
    made: dict[str, Any] = {  # what only takes rights away is admitted everywhere
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    given = mapping(target, "securityContext")
    return made | {key: given[key] for key in COPIED if given.get(key) is not None}
