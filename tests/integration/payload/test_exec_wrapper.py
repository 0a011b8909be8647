# SPDX-License-Identifier: Apache-2.0
"""The static exec wrapper, alone: the command must see what it would have seen without it."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest
from primus_lens_hook import contract

from support.repository import ROOT

SHOW = """
import json, os
environ = {os.fsdecode(k): os.fsdecode(v) for k, v in os.environb.items()}
ignored = open("/proc/self/status").read().split("SigIgn:")[1].split()[0]
argv = open("/proc/self/cmdline", "rb").read().decode("latin-1").split("\\0")[:-1]
print(json.dumps([os.getcwd(), argv, environ, ignored, sorted(os.listdir("/proc/self/fd"))]))
"""
OURS = contract.BOOTSTRAP


def seen(command, environ, **options):
    """What a Python behind the command sees of itself."""
    done = subprocess.run(
        [*command, sys.executable, "-S", "-E", "-c", SHOW, "", "a b", "\x01é"],
        env=environ, stdout=subprocess.PIPE, check=True, **options,
    )  # fmt: skip
    return json.loads(done.stdout)


def python_path(wrapper, before):
    """PYTHONPATH behind the exec wrapper; None: there is none."""
    with_ours = subprocess.run(
        [wrapper, "--", "/usr/bin/env", "-0"], capture_output=True, check=True, text=True,
        env={"A": "1"} if before is None else {"A": "1", "PYTHONPATH": before},
    )  # fmt: skip
    (ours,) = re.findall(r"(?:^|\0)PYTHONPATH=([^\0]*)", with_ours.stdout)
    return ours


def test_the_path_is_the_one_of_the_contract():
    source = (ROOT / "packaging" / "exec_wrapper" / "exec.c").read_text()
    assert f'#define BOOTSTRAP "{contract.BOOTSTRAP}"' in source


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, OURS),
        ("", OURS),
        ("/a:/b", f"{OURS}:/a:/b"),
        (OURS, OURS),
        (f"{OURS}:/a", f"{OURS}:/a"),
        (f"{OURS}-not:/a", f"{OURS}:{OURS}-not:/a"),
        (f"/a:{OURS}", f"{OURS}:/a:{OURS}"),
        (":", f"{OURS}::"),
        ("x" * 100_000, f"{OURS}:{'x' * 100_000}"),
    ],
)
def test_python_path(wrapper, before, after):
    assert python_path(wrapper, before) == after


@pytest.mark.parametrize("extra", [{}, {"PYTHONPATHX": "1", "XPYTHONPATH": "2"}, {"A": "é\n=\x7f"}])
def test_nothing_else_changes(wrapper, extra):
    environ = {"PATH": os.environ["PATH"], **extra}
    argv, bare = [wrapper, "--"], seen([], environ, cwd="/proc")
    there, arguments, variables, *rest = seen(argv, environ, cwd="/proc")
    assert variables.pop("PYTHONPATH") == OURS
    assert [there, arguments, variables, *rest] == bare


def test_ignored_signals_and_descriptors_are_inherited(wrapper):
    environ = {"PATH": os.environ["PATH"]}
    with open("/dev/null") as extra:
        kept = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
                "pass_fds": [extra.fileno()]}  # fmt: skip
        assert seen([wrapper, "--"], environ, **kept)[3:] == seen([], environ, **kept)[3:]


def test_no_environment_at_all(wrapper):
    done = subprocess.run([wrapper, "--", "/usr/bin/env"], env={}, capture_output=True, text=True)
    assert done.stdout == f"PYTHONPATH={OURS}\n"


def test_a_huge_environment(wrapper):
    environ = {f"V{i}": "x" * 1000 for i in range(1500)}
    done = subprocess.run(
        [wrapper, "--", "/usr/bin/env"], env=environ, capture_output=True, text=True
    )
    assert len(done.stdout.splitlines()) == 1501
    assert f"PYTHONPATH={OURS}" in done.stdout.splitlines()


def test_what_leaves_no_room_for_us_is_left_alone(wrapper):
    """One variable may have 128 KiB: with us first it would be too long to start anything."""
    full = "x" * (131072 - len("PYTHONPATH=") - 1)
    assert python_path(wrapper, full) == full


def test_no_memory_means_without_the_hook(wrapper, tmp_path):
    """What prints it is static too: a dynamic loader would lack the memory as well."""
    program, source = tmp_path / "show", tmp_path / "show.c"
    source.write_text(
        '#include <stdio.h>\n#include <stdlib.h>\nint main() { puts(getenv("PYTHONPATH")); }'
    )
    subprocess.run(["musl-gcc", "-static", "-o", program, source], check=True)
    done = subprocess.run(
        [wrapper, "--", program], env={"PYTHONPATH": "/a" * 25_000}, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (20_000, 20_000)),
    )  # fmt: skip
    assert done.stdout == "/a" * 25_000 + "\n"


@pytest.fixture
def programs(tmp_path):
    (tmp_path / "plain").write_text("not a program")
    (tmp_path / "noshebang").write_text("echo run by a shell")
    (tmp_path / "noshebang").chmod(0o755)
    (tmp_path / "lost").write_text("#!/no/such/interpreter\n")
    (tmp_path / "lost").chmod(0o755)
    (tmp_path / "good").write_text("#!/bin/sh\necho good; exit 7\n")
    (tmp_path / "good").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("", 127, 'exec: "": executable file not found in $PATH'),
        ("/no/such", 127, 'exec: "/no/such": No such file or directory'),
        ("/etc/passwd/x", 127, 'exec: "/etc/passwd/x": Not a directory'),
        ("./lost", 127, 'exec: "./lost": No such file or directory'),
        ("./plain", 126, 'exec: "./plain": Permission denied'),
        ("./noshebang", 126, 'exec: "./noshebang": Exec format error'),
        ("/etc", 126, 'exec: "/etc": Permission denied'),
        ("x" * 300, 126, "Filename too long"),
    ],
)
def test_what_cannot_run_ends_as_with_a_container_runtime(
    wrapper, programs, command, status, words
):
    done = subprocess.run([wrapper, "--", command], cwd=programs, capture_output=True, text=True)
    assert done.returncode == status
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "path", ["/nowhere:{here}", "{here}/plain:{here}", ":/nowhere", f"{'/long' * 2000}:{{here}}"]
)
def test_the_command_is_looked_up_in_path(wrapper, programs, path):
    environ = {"PATH": path.format(here=programs)}
    done = subprocess.run([wrapper, "--", "good"], cwd=programs, env=environ, capture_output=True)
    assert (done.returncode, done.stdout) == (7, b"good\n")


@pytest.mark.parametrize("arguments", [[], ["--"], ["env"], ["-x", "env"]])
def test_bad_usage(wrapper, arguments):
    done = subprocess.run([wrapper, *arguments], capture_output=True, text=True)
    assert done.returncode == 125
    assert "usage: exec -- COMMAND" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_the_command(wrapper, number):
    process = subprocess.Popen([wrapper, "--", "sleep", "60"])
    process.send_signal(number)
    assert process.wait(10) == -number


def test_the_first_process_of_a_container_stays_it(wrapper):
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no new PID namespace here")
    done = subprocess.run(
        [*unshare, wrapper, "--", "sh", "-c", "echo $$ $PYTHONPATH"],
        capture_output=True, text=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.stdout == f"1 {OURS}\n"


def test_valgrind_finds_nothing(wrapper):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    done = subprocess.run(
        ["valgrind", "--error-exitcode=99", wrapper, "--", "nosuch"],
        capture_output=True, text=True, env={"PATH": os.environ["PATH"], "PYTHONPATH": "/a:/b"},
    )  # fmt: skip
    assert done.returncode == 127
    assert re.search("ERROR SUMMARY: 0 errors", done.stderr), done.stderr


def test_it_is_static_small_and_the_same_each_time(wrapper, tmp_path):
    again = tmp_path / "again"
    subprocess.run([ROOT / "packaging" / "exec_wrapper" / "build.sh", again], check=True)
    assert again.read_bytes() == wrapper.read_bytes()
    assert len(wrapper.read_bytes()) < 80_000
    headers = subprocess.run(["readelf", "-l", wrapper], capture_output=True, text=True).stdout
    assert "LOAD" in headers
    assert "INTERP" not in headers
