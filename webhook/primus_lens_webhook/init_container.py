# SPDX-License-Identifier: Apache-2.0
"""The init container that lays the hook into its volume, and then is gone.

It asks for nothing that a namespace under PodSecurity `restricted` would not grant, and runs
as whatever user the pod says, but root.
"""

from __future__ import annotations

from typing import Any

from primus_lens_hook import contract

from primus_lens_webhook.document import Object, mapping
from primus_lens_webhook.options import Options
from primus_lens_webhook.qos import takes_resources

COMMAND = ["primus-lens", "hook", "install", "--to", contract.HOOK_MOUNT]
UID = 65532  # the image's own user


def init_container(spec: Object, options: Options) -> dict[str, Any]:
    """For a pod that has none yet. Raises Malformed."""
    made: dict[str, Any] = {
        "name": contract.HOOK_VOLUME,
        "image": options.inject_image,
        "imagePullPolicy": options.inject_image_pull_policy,
        "command": list(COMMAND),
        "securityContext": _security_context(spec),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": contract.HOOK_VOLUME, "mountPath": contract.HOOK_MOUNT}],
    }
    if takes_resources(spec):
        amounts = {"cpu": options.inject_init_cpu, "memory": options.inject_init_memory}
        made["resources"] = {"requests": amounts, "limits": dict(amounts)}
    return made


def _security_context(spec: Object) -> dict[str, Any]:
    made: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    # Only here: OpenShift's restricted-v2 refuses a user that it has not chosen, and the
    # kubelet refuses runAsNonRoot where the pod says 0.
    if mapping(spec, "securityContext").get("runAsUser") == 0:
        made |= {"runAsUser": UID, "runAsGroup": UID}
    return made
