# SPDX-License-Identifier: Apache-2.0
"""Pods as they come and as they go: golden/*.yaml. Run this file to write the latter anew.

Each file has `pod`, and `settings` where they are not the defaults; `decision` and `injected`,
the pod afterwards, are what `python -m support.webhook.goldens` writes in tests/. Read the
difference.
"""

import copy
import pathlib

import jsonpatch
import yaml
from primus_lens_hook import __version__
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

DIRECTORY = pathlib.Path(__file__).parent / "golden"
PATHS = sorted(DIRECTORY.glob("*.yaml"))


def settings(case):
    """The image has a name without a version, so that a release changes no golden file."""
    return Options(**{"inject_image": "primus-lens-wandb:golden", **case.get("settings", {})})


def result(case):
    """The decision and the pod afterwards."""
    mutation = mutate(copy.deepcopy(case["pod"]), settings(case))
    made = mutation.decision._asdict()
    made |= {"containers": list(made["containers"]), "python_env": dict(made["python_env"])}
    made["warnings"] = list(made["warnings"])
    return made, applied(mutation.operations, case["pod"])


def applied(operations, pod):
    after = jsonpatch.JsonPatch(operations).apply(pod)
    annotations = (after.get("metadata") or {}).get("annotations") or {}
    for name, value in annotations.items():
        annotations[name] = str(value).replace(f'"hook":"{__version__}"', '"hook":"VERSION"')
    return after


def main():
    for path in PATHS:
        case = yaml.safe_load(path.read_text())
        case["decision"], case["injected"] = result(case)
        path.write_text(yaml.safe_dump(case, sort_keys=False, width=100))


if __name__ == "__main__":
    main()
