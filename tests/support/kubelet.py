# SPDX-License-Identifier: Apache-2.0
"""A kubelet's directory of pods, as the kubelet makes and deletes it."""

import shutil
import uuid

from support.api_server import pod


class Kubelet:
    """Pods with a records volume, known to an API server unless told otherwise."""

    def __init__(self, root, server):
        self.root = root
        self.server = server
        (root / "pods").mkdir(parents=True)

    def start(self, name, known=True, **about):
        """A pod; returns the volume that its containers write to."""
        uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        volume = self.root / "pods" / uid / "volumes/kubernetes.io~empty-dir/primus-lens-records"
        volume.mkdir(parents=True)
        if known:
            self.introduce(name, **about)
        return volume

    def introduce(self, name, **about):
        """Tell the API of a pod."""
        uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        self.server.put(pod(name, uid, **about))

    def remove(self, volume):
        """What the kubelet does when the containers have ended."""
        shutil.rmtree(volume)


def rank(volume, node=0, local=0):
    """A rank's directory in a volume."""
    directory = volume / f"node_{node}" / f"rank_{local}"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def series(name, pod, run="r", container="main", **more):
    """A series of a pod's first rank, as on the page."""
    labels = {"namespace": "team", "pod": pod, "container": container, "node": "n1"}
    labels |= {"node_rank": "0", "local_rank": "0", "run_id": run, **more}
    text = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"primus_lens_wandb_{name}{{{text}}}"
