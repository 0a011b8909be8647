# SPDX-License-Identifier: Apache-2.0
"""What lies in a directory that others write to, each kind of it really made."""

import errno
import fcntl
import os
import signal
import socket
import subprocess

import pytest
from primus_lens_exporter.reading.safe_open import DIRECTORY, HardLink, NotRegular, SafeDirectory


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "dir").mkdir(parents=True)
    (tmp_path / "root" / "dir" / "file").write_text("text")
    (tmp_path / "secret").write_text("secret")
    root = SafeDirectory(str(tmp_path / "root"), hold=True)
    yield root
    root.close()


def read(root, name):
    fd, _ = root.open_regular(name)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@pytest.fixture(autouse=True)
def no_descriptor_is_left(root):
    root.open("dir", DIRECTORY)  # the root's own
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_regular_file(root):
    assert read(root, "dir/file") == b"text"


def test_nothing_is_read_through_a_link(root, tmp_path):
    inside = tmp_path / "root"
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "within").symlink_to("dir/file")
    (inside / "parent").symlink_to(tmp_path)
    (inside / "magic").symlink_to("/proc/self/root/etc/passwd")
    for name in ("link", "within", "parent/secret", "parent/root/dir/file", "magic"):
        with pytest.raises(OSError) as caught:
            read(root, name)
        assert caught.value.errno == errno.ELOOP, name


def test_nothing_outside_is_read(root, tmp_path):
    for name in ("../secret", "dir/../../secret", str(tmp_path / "secret")):
        with pytest.raises(OSError) as caught:
            read(root, name)
        assert caught.value.errno == errno.EXDEV, name


def test_a_mount_is_not_entered(root, tmp_path):
    target = tmp_path / "root" / "dir"
    if subprocess.run(["mount", "-t", "tmpfs", "none", target], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        (target / "file").write_text("mounted")
        with pytest.raises(OSError) as caught:
            read(root, "dir/file")
        assert caught.value.errno == errno.EXDEV
    finally:
        subprocess.run(["umount", target], check=True)


def test_what_is_no_regular_file_is_not_even_opened(root, tmp_path):
    inside = tmp_path / "root"
    os.mkfifo(inside / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(inside / "socket"))
    names = ["fifo", "socket", "dir"]
    try:
        os.mknod(inside / "zero", 0o600 | 0o020000, os.makedev(1, 5))
        names.append("zero")
    except PermissionError:  # not as root
        pass
    for name in names:
        with pytest.raises(NotRegular):
            read(root, name)


def test_a_file_with_another_name_is_refused(root, tmp_path):
    os.link(tmp_path / "secret", tmp_path / "root" / "hard")
    with pytest.raises(HardLink):
        read(root, "hard")


def test_a_lease_does_not_hold_us_up(root, tmp_path):
    path = tmp_path / "root" / "dir" / "file"
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the holder is told, and ignores it
    fd = os.open(path, os.O_WRONLY)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(BlockingIOError):
            read(root, "dir/file")
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, before)
    assert read(root, "dir/file") == b"text"


def test_the_root_itself_may_be_made_anew(root, tmp_path):
    (tmp_path / "root").rename(tmp_path / "old")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_text("new")
    root.refresh()
    assert read(root, "file") == b"new"


def test_without_hold_nothing_stays_open_between_passes(tmp_path, root):
    before = set(os.listdir("/proc/self/fd"))
    lent = SafeDirectory(root.path, hold=False)
    assert read(lent, "dir/file") == b"text"
    lent.release()
    assert set(os.listdir("/proc/self/fd")) == before
