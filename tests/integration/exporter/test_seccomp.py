# SPDX-License-Identifier: Apache-2.0
"""No file of the node is within reach by its handle, by whichever thread and ABI."""

import contextlib
import json
import os
import platform
import subprocess
import sys

import pytest

from support import seccomp_profile
from support.api_server import ApiServer
from support.kubelet import Kubelet, rank, series
from support.repository import ROOT
from support.serving import Exporter, record

# What one that took over the exporter would do: open a file outside of its root directory.
OPEN_BY_HANDLE = """
import ctypes, os, struct, sys, threading
from primus_lens_exporter.seccomp import refuse_handles
_, filtered, secret, root = sys.argv
NAME_TO_HANDLE_AT, OPEN_BY_HANDLE_AT = {"x86_64": (303, 304), "aarch64": (264, 265)}[os.uname()[4]]
libc = ctypes.CDLL(None, use_errno=True)
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
if libc.syscall(NAME_TO_HANDLE_AT, -100, secret.encode(), handle, ctypes.byref(ctypes.c_int()), 0):
    sys.exit("no handles: " + os.strerror(ctypes.get_errno()))

def look():
    start.wait()
    fd = libc.syscall(OPEN_BY_HANDLE_AT, os.open("/", os.O_RDONLY), handle, os.O_RDONLY)
    print(os.read(fd, 100).decode() if fd >= 0 else os.strerror(ctypes.get_errno()))

start = threading.Event()
earlier = threading.Thread(target=look)
earlier.start()
os.chroot(root)
if filtered == "filtered":
    refuse_handles()
start.set()
earlier.join()
look()
if os.fork() == 0:
    look()
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""

# The same call through the other two doors of an x86_64 kernel: `int 0x80`, and x32's numbers.
OTHER_ABIS = """
import ctypes, errno, mmap, sys
from primus_lens_exporter.seccomp import refuse_handles
# push rbx; mov eax, 342; xor ebx, ebx; xor ecx, ecx; xor edx, edx; int 0x80; pop rbx; ret
code = bytes.fromhex("53 b856010000 31db 31c9 31d2 cd80 5b c3")
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
i386 = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
libc = ctypes.CDLL(None, use_errno=True)
if sys.argv[1] == "filtered":
    refuse_handles()
libc.syscall(0x40000000 | 304, -1, None, 0)
print(errno.errorcode[-i386()], errno.errorcode[ctypes.get_errno()])
"""

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs CAP_DAC_READ_SEARCH")


def output(script, *arguments):
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if "no handles" in done.stderr or done.returncode < 0:
        pytest.skip(f"not with this kernel or file system: {done.stderr or done.returncode}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@root_only
@pytest.mark.parametrize(
    ("how", "seen"), [("unfiltered", "secret"), ("filtered", "Operation not permitted")]
)
def test_a_file_outside_of_the_root_is_opened_by_its_handle_only_without_the_filter(
    tmp_path, how, seen
):
    (tmp_path / "file").write_text("secret")
    (tmp_path / "root").mkdir()
    lines = output(OPEN_BY_HANDLE, how, str(tmp_path / "file"), str(tmp_path / "root"))
    if how == "unfiltered" and set(lines) == {"Operation not permitted"}:
        pytest.skip("this machine's own sandbox refuses the call")
    assert lines == [seen] * 3  # a thread from before, the main one, a child


@root_only
@pytest.mark.skipif(platform.machine() != "x86_64", reason="of x86_64")
def test_other_abis_do_not_lead_around_it():
    i386, x32 = output(OTHER_ABIS, "unfiltered")[0].split()
    assert "EPERM" not in (i386, x32)
    assert output(OTHER_ABIS, "filtered") == ["EPERM EPERM"]


def test_every_thread_of_the_exporter_has_the_filter(tmp_path):
    with Exporter(tmp_path) as exporter:
        tasks = f"/proc/{exporter.process.pid}/task"
        for task in os.listdir(tasks):
            with contextlib.suppress(FileNotFoundError), open(f"{tasks}/{task}/status") as file:
                assert "\nSeccomp:\t2\n" in file.read()
    assert "is not blocked" not in exporter.log


# As a sandbox that refuses seccomp(2) itself.
WITHOUT_SECCOMP = """
import ctypes, os, sys
from primus_lens_exporter import seccomp
seccomp.REFUSED = tuple((abi, {304: 317, 265: 277}.get(n, n)) for abi, n in seccomp.REFUSED)
seccomp.refuse_handles()
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_seccomp_it_goes_on_and_says_so_once(tmp_path):
    with Exporter(tmp_path, wrapper=[sys.executable, "-c", WITHOUT_SECCOMP]) as exporter:
        assert exporter.status("/metrics") == 200
    assert exporter.log.count("open_by_handle_at is not blocked") == 1


PROFILE = ROOT / "charts" / "primus-lens-wandb" / "files" / "seccomp-exporter.json"


@pytest.mark.skipif(not seccomp_profile.HEADER.exists(), reason="needs the kernel's headers")
def test_the_exporter_works_under_the_profile_of_the_chart(tmp_path):
    spool = "--remote-write.url", "http://127.0.0.1:9/", "--remote-write.spool-directory", tmp_path
    with ApiServer() as server:
        kubelet = Kubelet(tmp_path / "kubelet", server)
        flags = "--records.kubelet-root", kubelet.root, "--kubernetes.node-name", "n1", *spool
        environ = {"KUBECONFIG": str(server.kubeconfig(tmp_path))}
        wrapper = seccomp_profile.wrapper(PROFILE)
        with Exporter(None, *flags, environ=environ, wrapper=wrapper) as exporter:
            (rank(kubelet.start("p")) / "wandb_metrics.jsonl").write_bytes(record(loss=2))
            exporter.wait(series("metric", "p", key="loss"), 2)


def test_the_profile_of_the_chart_leaves_out_what_the_capability_makes_dangerous():
    rules = json.loads(PROFILE.read_text())["syscalls"]
    allowed = {name for rule in rules for name in rule["names"]}
    refused = {"open_by_handle_at", "name_to_handle_at", "io_uring_setup", "linkat", "mount"}
    assert not allowed & (refused | {"bpf", "clone3", "keyctl", "ptrace", "setns", "unshare"})
