# SPDX-License-Identifier: Apache-2.0
"""`primus-lens hook install --to DIR`, as an init container runs it."""

import filecmp
import os
import shutil
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from primus_lens_hook import __version__

from support import matrix
from support.repository import ROOT

NOBODY = 65532
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def volume(tmp_path):
    """A fresh emptyDir: anyone's."""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    opened(volume)
    return volume


def opened(path):
    """Let other users through pytest's directories, which are closed to them."""
    for directory in path.parents:
        if Path(tempfile.gettempdir()) in directory.parents:
            directory.chmod(0o755)


def hidden(volume):
    """What an installation keeps behind the names that pods know."""
    return [name for name in os.listdir(volume) if name.startswith(".")]


def mebibytes(tree):
    """Room that a tree takes on a disk, rounded up."""
    blocks = sum(path.lstat().st_blocks for path in tree.rglob("*"))
    return -(-blocks * 512 // (1 << 20))


def same(volume, tree):
    compared = filecmp.dircmp(tree, volume / "current", ignore=[])
    differing = [*compared.left_only, *compared.right_only, *compared.diff_files]
    return not differing and sorted([*os.listdir(tree), "current", "env"]) == sorted(
        name for name in os.listdir(volume) if not name.startswith(".")
    )


@pytest.mark.parametrize("user", [None, pytest.param(NOBODY, marks=root_only)])
def test_install(volume, prebuilt, hook_install, user):
    opened(prebuilt)
    done = hook_install("--to", volume, "--from", prebuilt, user=user)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"installed {__version__} in {volume}\n"
    assert same(volume, prebuilt)


def test_anyone_can_read_it_and_nobody_write_it(installed, prebuilt):
    modes = {}
    for directory, _, names in os.walk(installed / "current" / ""):
        for path in [directory, *(os.path.join(directory, name) for name in names)]:
            modes.setdefault(stat.S_IMODE(os.stat(path).st_mode), set()).add(path)
    assert set(modes) == {0o444, 0o555}
    assert not [path for path in modes[0o555] if path.endswith((".py", ".pyc", ".pth"))]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_whatever_the_umask(volume, prebuilt, hook_install, umask):
    hook_install("--to", volume, "--from", prebuilt, umask=umask)
    file = volume / "primus_lens_hook" / "boot.py"
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o555


@root_only
def test_again_as_the_same_user(volume, prebuilt, hook_install):
    opened(prebuilt)
    first = hook_install("--to", volume, "--from", prebuilt, user=NOBODY)
    second = hook_install("--to", volume, "--from", prebuilt, user=NOBODY)
    assert (first.returncode, second.returncode, second.stderr) == (0, 0, "")
    assert same(volume, prebuilt)
    assert len(hidden(volume)) == 1


@root_only
def test_over_what_another_user_installed(volume, prebuilt, hook_install):
    opened(prebuilt)
    hook_install("--to", volume, "--from", prebuilt)
    done = hook_install("--to", volume, "--from", prebuilt, user=NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    assert same(volume, prebuilt)


def test_over_an_older_version(volume, prebuilt, hook_install, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(prebuilt, older)
    (older / "primus_lens_hook" / "boot.py").write_text("older")
    (older / "gone.py").write_text("")
    hook_install("--to", volume, "--from", older)
    assert (volume / "gone.py").exists()
    (volume / "primus_lens_hook.env").write_text("A=1")
    done = hook_install("--to", volume, "--from", prebuilt)
    assert done.returncode == 0
    assert not os.path.lexists(volume / "gone.py")
    assert (volume / "primus_lens_hook.env").read_text() == "A=1"
    (volume / "primus_lens_hook.env").unlink()
    assert same(volume, prebuilt)


def test_after_one_that_was_killed(volume, prebuilt, hook_install):
    half = volume / ".tree-killed" / "primus_lens_hook"
    half.mkdir(parents=True)
    (half / "boot.py").write_text("half")
    half.chmod(0o555)
    (volume / ".tree-link").symlink_to("nowhere")
    assert hook_install("--to", volume, "--from", prebuilt).returncode == 0
    assert same(volume, prebuilt)
    assert len(hidden(volume)) == 1


def test_links_of_others_are_not_followed(volume, prebuilt, hook_install, tmp_path):
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    outside.chmod(0o700)
    (volume / ".tree-evil").symlink_to(outside)
    (volume / "primus_lens_hook.env").symlink_to("/not/mounted/yet")
    assert hook_install("--to", volume, "--from", prebuilt).returncode == 0
    assert stat.S_IMODE(outside.stat().st_mode) == 0o700
    assert (outside / "kept").exists()
    assert (volume / "primus_lens_hook.env").is_symlink()
    assert len(hidden(volume)) == 1


def test_many_at_once(volume, prebuilt, hook_install):
    done = []
    threads = [
        threading.Thread(
            target=lambda: done.append(hook_install("--to", volume, "--from", prebuilt))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.returncode for each in done] == [0] * 4, done
    assert same(volume, prebuilt)
    assert len(hidden(volume)) == 1


@pytest.fixture
def disk(tmp_path):
    """Makes a disk of so many MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(megabytes):
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", disk]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        return disk

    yield mount
    subprocess.run(["umount", disk], capture_output=True)


@pytest.fixture
def small_disk(disk):
    return disk(2)


def test_a_killed_one_takes_no_room_from_the_next(disk, prebuilt, hook_install):
    size = mebibytes(prebuilt)
    room = disk(size + 2)
    (room / ".tree-killed").mkdir()
    (room / ".tree-killed" / "half").write_bytes(bytes((size + 1) << 20))
    assert hook_install("--to", room, "--from", prebuilt).returncode == 0
    assert same(room, prebuilt)


def test_a_full_disk(small_disk, prebuilt, hook_install):
    done = hook_install("--to", small_disk, "--from", prebuilt)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot install into {small_disk}: No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert os.listdir(small_disk) == ["env"]


def test_a_full_disk_leaves_the_older_version(small_disk, prebuilt, hook_install, tmp_path):
    older = tmp_path / "older" / "primus_lens_hook" / "bootstrap"
    older.mkdir(parents=True)
    (older / "sitecustomize.py").write_text("older")
    hook_install("--to", small_disk, "--from", tmp_path / "older")
    before = sorted(os.listdir(small_disk))
    assert hook_install("--to", small_disk, "--from", prebuilt).returncode == 1
    assert sorted(os.listdir(small_disk)) == before
    place = small_disk / "primus_lens_hook" / "bootstrap" / "sitecustomize.py"
    assert place.read_text() == "older"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "/proc/nothing"], "cannot install into /proc/nothing"),
        (["--to", "/etc/passwd"], "/etc/passwd"),
        (["--to", "{volume}", "--from", "/no/such"], "/no/such"),
        (["--to", "{volume}", "--from", "/etc/ssl"], "/etc/ssl: holds no hook"),
    ],
)
def test_what_cannot_be(volume, hook_install, arguments, words):
    done = hook_install(*(argument.format(volume=volume) for argument in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert set(os.listdir(volume)) <= {"env"}


@pytest.mark.parametrize("flags", [["--from", "/"], ["--best-effort"]])
def test_what_goes_with_to(hook_install, flags):
    done = hook_install(*flags)
    assert done.returncode == 2
    assert f"{flags[0]} goes with --to" in done.stderr


@pytest.mark.parametrize("version", ["3.7", "3.15"])
def test_without_an_image_the_package_installs_itself(volume, version):
    python = matrix.interpreter(version) or pytest.skip(f"no Python {version} on this machine")
    path = os.pathsep.join(str(ROOT / part) for part in ("hook", "cli"))
    command = [python, "-m", "primus_lens_cli", "hook", "install", "--to", volume]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path}, cwd="/")
    # Python 3.15 has no `__cached__` any more.
    program = "import sys; print(sys.modules['primus_lens_hook.boot'].__spec__.cached)"
    environ = {**os.environ, "PYTHONPATH": f"{volume}/primus_lens_hook/bootstrap"}
    cached = subprocess.check_output([python, "-c", program], env=environ, text=True).strip()
    assert cached.startswith(f"{volume}/primus_lens_hook/__pycache__/boot.cpython-")
    assert os.path.exists(cached)
