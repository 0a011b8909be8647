# SPDX-License-Identifier: Apache-2.0
"""What is installed and run from outside is pinned: packages by hash, actions by commit."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS, GROUPS = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
IMAGE = [*EXTRAS["exporter"], *EXTRAS["webhook"]]
LOCKED = {
    "build.txt": GROUPS["build"],
    "image.txt": IMAGE,
    "dev.txt": [*IMAGE, *EXTRAS["demo"], *GROUPS["build"], *GROUPS["dev"]],
}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def pins(name):
    """The versions of each package; a package may have one for each Python."""
    found = {}
    for block in (ROOT / "requirements" / name).read_text().replace("\\\n", "").splitlines():
        if block.startswith("#"):
            continue
        assert "--hash=sha256:" in block
        requirement = Requirement(block.partition("--hash")[0])
        (pin,) = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), []).append(pin)
    return found


@pytest.mark.parametrize("name", LOCKED)
def test_what_the_project_asks_for_is_pinned(name):
    pinned, texts = pins(name), [each for each in LOCKED[name] if isinstance(each, str)]
    asked = [each for each in map(Requirement, texts) if each.name != PROJECT["project"]["name"]]
    assert len(asked) >= 2
    for requirement in asked:
        found = pinned.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement}: run make lock"
        for pin in found:
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), f"{requirement}: run make lock"


def test_the_gate_tests_what_the_image_has():
    everything = pins("dev.txt")
    for name in ("build.txt", "image.txt"):
        assert {key: everything[key] for key in pins(name)} == pins(name)


def test_packages_come_from_wherever_pip_is_told():
    texts = [path.read_text() for path in (ROOT / "requirements").iterdir()]
    assert [text for text in texts if "://" in text or "index" in text] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path):
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    used = [step["uses"] for job in jobs for step in job.get("steps", []) if "uses" in step]
    used += [job["uses"] for job in jobs if "uses" in job]
    assert used
    ours = [each for each in used if each.startswith("./.github/workflows/")]
    assert all((ROOT / each).is_file() for each in ours)
    assert [each for each in set(used) - set(ours) if not re.search("@[0-9a-f]{40}$", each)] == []


@pytest.mark.xdist_group("grouped")
def test_workers_keep_groups_of_tests_together(request, worker_id):
    """Else each makes what the group shares; pytest-xdist says nothing when that happens."""
    assert worker_id == "master" or request.node.nodeid.endswith("@grouped")
