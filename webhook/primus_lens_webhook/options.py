# SPDX-License-Identifier: Apache-2.0
"""What is put into pods: the settings that the webhook and `primus-lens inject` share."""

from __future__ import annotations

import dataclasses

from primus_lens_hook import __version__
from primus_lens_toolkit.flags import boolean, flag, limit, one_of, positive

from primus_lens_webhook.quantity import quantity

ENV_PREFIX = "PRIMUS_LENS_WEBHOOK_"
DEFAULT_IMAGE = f"primus-lens-wandb:{__version__}"

EMPTY_DIR, CLAIM, HOST_PATH = VOLUME_MODES = ("emptyDir", "persistentVolumeClaim", "hostPath")
AUTO, PREPEND, EXEC, SITE_PACKAGES, OFF = PYTHON_ENVS = (
    "auto",
    "prepend",
    "exec",
    "site-packages",
    "off",
)
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
# Twice the payload, and a margin: an init container that runs again copies it beside the old one,
# and the kubelet evicts a pod whose emptyDir outgrows its limit.
HOOK_SIZE = "32Mi"


def size(text: str) -> str:
    """A Kubernetes quantity above zero; ValueError otherwise."""
    if quantity(text) <= 0:
        raise ValueError(f"expected a quantity such as 256Mi, not {text!r}")
    return text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """No slots: the daemon's settings inherit from two such classes."""

    inject_image: str = flag(
        "--inject.image",
        "the image that brings the hook, best by digest; there is no public one yet",
        default=DEFAULT_IMAGE,
        metavar="IMAGE",
    )
    inject_image_pull_policy: str = flag(
        "--inject.image-pull-policy",
        "one of " + ", ".join(PULL_POLICIES),
        one_of(*PULL_POLICIES),
        default="IfNotPresent",
        metavar="POLICY",
    )
    inject_image_pull_secrets: tuple[str, ...] = flag(
        "--inject.image-pull-secrets",
        "a secret, there in each namespace, that pods pull that image with; repeatable",
        default=(),
        repeatable=True,
        metavar="NAME",
    )
    inject_python_env: str = flag(
        "--inject.python-env",
        "how Python learns of the hook where the pod does not say: " + ", ".join(PYTHON_ENVS),
        one_of(*PYTHON_ENVS),
        default=AUTO,
        metavar="MODE",
    )
    inject_volume_mode: str = flag(
        "--inject.volume-mode",
        "where records go: " + ", ".join(VOLUME_MODES),
        one_of(*VOLUME_MODES),
        default=EMPTY_DIR,
        metavar="MODE",
    )
    inject_records_size: str = flag(
        "--inject.records-size",
        "limit of the emptyDir with the records; ranks keep below half of it",
        size,
        default="256Mi",
        metavar="QUANTITY",
    )
    inject_ranks: int = flag(
        "--inject.ranks",
        "ranks that share it where a container asks for fewer GPUs",
        positive,
        default=8,
        metavar="COUNT",
    )
    inject_max_containers: int = limit(
        "--inject.max-containers",
        "most containers of a pod that get the hook; a pod that asks for more is left alone",
        64,
    )
    inject_system_metrics: bool = flag(
        "--inject.system-metrics",
        "have ranks sample processor, memory and GPUs too, where the pod does not say",
        boolean,
        default=False,
    )
    inject_claim_name: str = flag(
        "--inject.claim-name",
        "the ReadWriteMany claim, there in each namespace, of mode persistentVolumeClaim",
        default="",
        metavar="NAME",
    )
    inject_host_path: str = flag(
        "--inject.host-path",
        "the directory on each node of mode hostPath",
        default="",
        metavar="DIR",
    )

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense together."""
        if self.inject_volume_mode == CLAIM and not self.inject_claim_name:
            raise ValueError("--inject.volume-mode persistentVolumeClaim needs --inject.claim-name")
        if self.inject_volume_mode == HOST_PATH and not self.inject_host_path.startswith("/"):
            raise ValueError("--inject.volume-mode hostPath needs --inject.host-path /DIR")
