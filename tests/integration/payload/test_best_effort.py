# SPDX-License-Identifier: Apache-2.0
"""What an init container leaves behind, whatever fails: a pod whose command starts."""

import os
import shutil
import subprocess
import sys

import pytest
from primus_lens_cli import hook
from primus_lens_hook import contract
from primus_lens_webhook.init_container import COMMAND

from support import matrix
from support.environment import clean_environ

ENTRY = os.path.relpath(contract.EXEC, contract.HOOK_MOUNT)
SHOW = ["sh", "-c", "echo started $PYTHONPATH; exit 7"]


@pytest.fixture
def with_wrapper(wrapper, prebuilt, tmp_path):
    """The tree as the image has it, with the exec wrapper."""
    tree = tmp_path / "tree"
    shutil.copytree(prebuilt, tree)
    (tree / "bin").mkdir()
    shutil.copy(wrapper, tree / "bin" / "exec")
    return tree


@pytest.fixture
def disk(tmp_path):
    """Makes an empty disk with these mount options."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk]).returncode:
            pytest.skip("no file system can be mounted here")
        return disk

    yield mount
    subprocess.run(["umount", disk], capture_output=True)


def initialised(volume, source):
    """The init container's own command, on another directory."""
    arguments = [str(volume) if each == contract.HOOK_MOUNT else each for each in COMMAND[1:]]
    command = [sys.executable, "-m", "primus_lens_cli", *arguments, "--from", source]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


def started(volume):
    """A command of a pod, started as the webhook has it started."""
    entry = [volume / ENTRY, "--"]
    done = subprocess.run([*entry, *SHOW], capture_output=True, text=True, env={"PATH": "/bin"})
    assert done.returncode == 7, done.stderr
    return done.stdout


def test_a_command_starts_with_the_hook(disk, with_wrapper):
    volume = disk("size=32m")
    done = initialised(volume, with_wrapper)
    assert (done.returncode, done.stderr) == (0, "")
    assert started(volume) == f"started {contract.BOOTSTRAP}\n"


def test_where_nothing_may_be_executed_a_command_starts_without_the_hook(disk, with_wrapper):
    volume = disk("size=32m,noexec")
    done = initialised(volume, with_wrapper)
    assert done.returncode == 0
    assert "noexec" in done.stderr
    assert started(volume) == "started\n"


def test_on_a_full_disk_a_command_starts_without_the_hook(disk, with_wrapper):
    volume = disk("size=1m")
    done = initialised(volume, with_wrapper)
    assert (done.returncode, started(volume)) == (0, "started\n")
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("source", ["/no/such", "/etc/ssl"])
def test_without_a_tree_a_command_starts_without_the_hook(tmp_path, source):
    done = initialised(tmp_path / "volume", source)
    assert (done.returncode, started(tmp_path / "volume")) == (0, "started\n")
    assert source in done.stderr


def test_a_read_only_volume_does_not_fail_the_init_container(disk, with_wrapper):
    assert initialised(disk("ro"), with_wrapper).returncode == 0


def test_a_fault_of_ours_does_not_fail_the_init_container():
    assert hook.main(["install", "--best-effort", "--to", "/tmp/a\0b"]) == 0


def test_a_version_without_wrapper_leaves_no_link_to_nothing(tmp_path, with_wrapper):
    initialised(tmp_path / "volume", with_wrapper)
    shutil.rmtree(with_wrapper / "bin")
    initialised(tmp_path / "volume", with_wrapper)
    assert started(tmp_path / "volume") == "started\n"


@pytest.mark.parametrize("version", ["3.7", "3.11", "3.15"])
def test_the_directory_that_a_kubelet_makes_of_a_missing_pth_is_silent(version, tmp_path):
    python = matrix.interpreter(version) or pytest.skip(f"no Python {version} on this machine")
    (tmp_path / "primus_lens_hook.pth").mkdir()
    program = f"import site; site.addsitedir({str(tmp_path)!r}); print('runs')"
    command = [python, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environ())
    assert (done.stdout, done.stderr) == ("runs\n", "")
