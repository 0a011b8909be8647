# SPDX-License-Identifier: Apache-2.0
"""What the webhook refers to must be in the payload."""

from primus_lens_cli import payload
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

ASKS = {
    "primus-lens.io/python-env": "site-packages",
    "primus-lens.io/site-packages": "/venv/lib/python3.15/site-packages",
}


def test_what_is_mounted_into_site_packages_is_in_the_payload(tmp_path):
    """The kubelet makes a directory of a subPath that is missing."""
    payload.assemble(str(tmp_path / "tree"), "/opt/primus-lens")
    spec = {"containers": [{"name": "main", "image": "i"}]}
    done = mutate({"metadata": {"annotations": ASKS}, "spec": spec}, Options())
    mounts = [each["value"] for each in done.operations if "volumeMounts" in each["path"]]
    mounts = [each for part in mounts for each in (part if isinstance(part, list) else [part])]
    paths = [each["subPath"] for each in mounts if "subPath" in each]
    assert paths
    assert [path for path in paths if not (tmp_path / "tree" / path).is_file()] == []
