# SPDX-License-Identifier: Apache-2.0
"""How the Python in a container learns of the hook, without losing the PYTHONPATH it had.

A PYTHONPATH in the pod hides that of the image, which nobody here can see. So it is set only
where the pod sets it already, or where there is no other way; a container whose command is
known starts through an exec wrapper that prepends in the process itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from primus_lens_hook import contract

from primus_lens_webhook import decision
from primus_lens_webhook.decision import Skip
from primus_lens_webhook.document import Object, annotations_of, objects, strings, text
from primus_lens_webhook.options import AUTO, EXEC, OFF, PYTHON_ENVS, SITE_PACKAGES
from primus_lens_webhook.patch import Patch

MODE = contract.ANNOTATION_PREFIX + "python-env"
IMAGE_PYTHONPATH = contract.ANNOTATION_PREFIX + "image-pythonpath"
SITE_DIRECTORY = contract.ANNOTATION_PREFIX + "site-packages"

# What was done; the modes `exec`, `site-packages` and `off` do as they are called.
PREPENDED = "prepend"  # to the value in the pod
REFERENCED = "reference"  # the pod's valueFrom got another name, which ours refers to
SET = "set"  # the pod had none; a PYTHONPATH of the image is hidden
OUTCOMES = (PREPENDED, REFERENCED, SET, EXEC, SITE_PACKAGES, OFF)

USERS = contract.ENV_PREFIX + "USER_PYTHONPATH"
STARTUP_FILE = "primus_lens_hook.pth"  # the only one in the payload; see cli/payload.py
LONGEST_PATH = 4096  # PATH_MAX; each injected container gets it
UNSET = "$(PYTHONPATH)"


class Wanted(NamedTuple):
    """What the pod asks for. Of a site directory, the mode must be SITE_PACKAGES."""

    mode: str
    image_pythonpath: str = ""
    site_directory: str = ""


def wanted(pod: Object, default: str) -> Wanted:
    """Raises Skip for annotations that make no sense, and Malformed."""
    given = annotations_of(pod)
    mode = given.get(MODE, default)
    if mode not in PYTHON_ENVS:
        raise Skip(decision.BAD_ANNOTATION, f"{MODE} is none of {', '.join(PYTHON_ENVS)}")
    site, image = text(given, SITE_DIRECTORY).rstrip("/"), text(given, IMAGE_PYTHONPATH)
    for name in (SITE_DIRECTORY, IMAGE_PYTHONPATH):
        if len(text(given, name)) > LONGEST_PATH:
            raise Skip(decision.BAD_ANNOTATION, f"{name} is longer than {LONGEST_PATH} characters")
    bad = not site.startswith("/") or ":" in site or ".." in site.split("/")
    if mode == SITE_PACKAGES and bad:
        raise Skip(decision.BAD_ANNOTATION, f"{SITE_DIRECTORY} is not an absolute path")
    return Wanted(mode, image.strip(":"), site)


def apply(patch: Patch, path: str, container: Object, want: Wanted) -> str:
    """Do it to the container at `path`; returns which of OUTCOMES it is. Raises Malformed."""
    if want.mode == OFF:
        return OFF
    if want.mode == SITE_PACKAGES:
        return _mount_file(patch, path, container, want.site_directory)
    command = strings(container, "command")
    if is_wrapped(command):
        return EXEC
    found = _entries(container)
    if command and (want.mode == EXEC or (want.mode == AUTO and not found)):
        patch.insert(path, container, "command", 0, contract.EXEC)
        patch.insert(path, container, "command", 1, "--")
        return EXEC
    if found:
        return _change(patch, path, container, found[-1])  # the last one counts, as in the kubelet
    return _set(patch, path, container, want)


def is_wrapped(command: list[str]) -> bool:
    """Whether it starts through a program of ours, of this version or another."""
    return bool(command) and command[0].startswith(contract.HOOK_MOUNT + "/")


def _entries(container: Object) -> list[int]:
    """Indexes of those that set PYTHONPATH."""
    entries = enumerate(objects(container, "env"))
    return [index for index, entry in entries if entry.get("name") == "PYTHONPATH"]


def _change(patch: Patch, path: str, container: Object, index: int) -> str:
    entry, where = objects(container, "env")[index], f"{path}/env/{index}"
    if entry.get("valueFrom") is None:
        return _prepend(patch, where, entry)
    patch.set(where, entry, "name", USERS)
    ours = {"name": "PYTHONPATH", "value": f"{contract.BOOTSTRAP}:$({USERS})"}
    patch.insert(path, container, "env", index + 1, ours)
    return REFERENCED


def _prepend(patch: Patch, where: str, entry: Object) -> str:
    """First: another sitecustomize that does not chain would hide ours."""
    value = str(entry.get("value") or "")
    parts = value.split(":") if value else []
    others = [part for part in parts if part != contract.BOOTSTRAP]
    ours = ":".join([contract.BOOTSTRAP, *others])
    if ours != value:
        patch.set(where, entry, "value", ours)
    return PREPENDED


def _set(patch: Patch, path: str, container: Object, want: Wanted) -> str:
    parts = [contract.BOOTSTRAP]
    if want.image_pythonpath:
        parts.append(want.image_pythonpath)
    if container.get("envFrom"):
        parts.append(UNSET)  # stays as it is if there is none, and the hook drops it
    value: dict[str, Any] = {"name": "PYTHONPATH", "value": ":".join(parts)}
    patch.append(path, container, "env", value)
    return SET


def _mount_file(patch: Patch, path: str, container: Object, directory: str) -> str:
    mount = {
        "name": contract.HOOK_VOLUME,
        "mountPath": f"{directory}/{STARTUP_FILE}",
        "subPath": f"pth/{STARTUP_FILE}",
        "readOnly": True,
    }
    there = [each.get("mountPath") for each in objects(container, "volumeMounts")]
    if mount["mountPath"] not in there:
        patch.append(path, container, "volumeMounts", mount)
    return SITE_PACKAGES
