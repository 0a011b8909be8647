# SPDX-License-Identifier: Apache-2.0
"""Writes what is made from the chart: manifests/, and the table of values in its README.

Run by `make manifests`; a test holds the files to it.
"""

import json
import re

import yaml

from support.chart import charting, helm
from support.repository import ROOT

MANIFESTS = ROOT / "manifests"
README = charting.CHART / "README.md"
NAMESPACE = "primus-lens"
# Where policy/v1 begins and matchConditions are not known yet: it does for all that came after.
VERSION = "1.21"
# Of Helm's own, which would be a lie here.
HELMS = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)
KINDS = ("Namespace", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
HEADER = "# Made from charts/primus-lens-wandb by `make manifests`. Edit the chart instead.\n"

# The exporter mounts directories of the node, which PodSecurity allows only here.
NAMESPACE_OBJECT = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
    },
}
MONITORS = {"podMonitor": {"enabled": True}}
CERT_MANAGER = {"webhook": {"certs": {"mode": "certManager"}}}


def order(text):
    """What others need goes first."""
    kind = yaml.safe_load(text)["kind"]
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def plain(values, *, only=None):
    """The objects of a release as one file, without the tests of Helm."""
    values = {"tests": {"enabled": False}, "extraManifests": [NAMESPACE_OBJECT], **values}
    # The command has another order within a file.
    rendered = helm.Library(NAMESPACE).render("primus-lens-wandb", values, VERSION)
    parts = [
        HELMS.sub("", part).strip() + "\n"
        for path, text in rendered.items()
        if only in (None, path)
        for part in re.split(r"^---\n", text, flags=re.MULTILINE)
        if yaml.safe_load(part)
    ]
    lines = "---\n".join(sorted(parts, key=order)).splitlines()
    return HEADER + "".join(line.rstrip() + "\n" for line in lines)


def table():
    """The values for the README, as helm-docs would have them."""
    values = charting.defaults()
    rows = ["| value | default | |", "|---|---|---|"]
    for leaf, text in charting.described().items():
        value = values
        for key in leaf.split("."):
            value = value[key]
        shown = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
        rows.append(f"| `{leaf}` | `{shown}` | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def files():
    """Path and text of everything that is made."""
    yield MANIFESTS / "self-signed" / "primus-lens-wandb.yaml", plain({})
    yield MANIFESTS / "cert-manager" / "primus-lens-wandb.yaml", plain(CERT_MANAGER)
    monitors = plain(MONITORS, only="monitors.yaml")
    yield MANIFESTS / "prometheus-operator" / "pod-monitors.yaml", monitors
    above, below = README.read_text().split("<!-- values -->\n")[::2]
    yield README, f"{above}<!-- values -->\n{table()}<!-- values -->\n{below}"


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text)
