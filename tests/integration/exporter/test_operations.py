# SPDX-License-Identifier: Apache-2.0
"""What whoever runs the exporter sees of it: that it starts or says why not, its log, its end."""

import errno
import json
import re
import signal
import subprocess
import sys

import pytest

from support.serving import Exporter, record, until

# seccomp(2): openat2 fails as in an old kernel or a sandbox, all else goes on.
WITHOUT_OPENAT2 = """
import ctypes, os, struct, sys
OPENAT2, LOAD, SAME, RETURN, ERRNO, ALLOW = 437, 0x20, 0x15, 0x06, 0x50000, 0x7FFF0000
fails = ERRNO | int(sys.argv[1])
rules = (LOAD, 0, 0, 0), (SAME, 0, 1, OPENAT2), (RETURN, 0, 0, fails), (RETURN, 0, 0, ALLOW)
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_without_openat2_it_says_so_and_does_not_start(tmp_path, number):
    exporter = Exporter(tmp_path, wrapper=[sys.executable, "-c", WITHOUT_OPENAT2, str(number)])
    command, environ = exporter.command, exporter.environ
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("primus-lens exporter: openat2 is not available (kernel ")
    assert "use Linux 5.6 or newer, and a seccomp profile that allows openat2" in done.stderr


PAIR = r'[a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
FORGED = 'x"\nlevel=error msg=forged'


@pytest.fixture
def log_of(tmp_path):
    """The log of an exporter that was warned of a directory with an evil name, and was stopped."""

    def log_of(form):
        directory = tmp_path / FORGED / "node_0/rank_0"
        directory.mkdir(parents=True)
        (directory / "wandb_metrics.jsonl").symlink_to("/etc/passwd")
        with Exporter(tmp_path / FORGED, "--log.format", form) as exporter:
            exporter.refused("link", 1)
        return exporter.log.splitlines()

    return log_of


def test_a_log_in_json_is_an_event_a_line(log_of):
    events = [json.loads(line) for line in log_of("json")]
    assert all(event.keys() >= {"time", "level", "logger", "msg"} for event in events)
    (warning,) = [event for event in events if event["level"] == "WARNING"]
    assert (warning["msg"], warning["reason"]) == ("cannot read", "link")
    assert FORGED in warning["path"]
    assert events[-1]["msg"] == "stopped"


def test_a_log_in_logfmt_is_an_event_a_line(log_of):
    lines = log_of("logfmt")
    assert [line for line in lines if not re.fullmatch(f"{PAIR}(?: {PAIR})*", line)] == []
    assert all(line.startswith("time=") and " level=" in line for line in lines)
    (warning,) = [line for line in lines if 'msg="cannot read"' in line]
    assert "reason=link" in warning
    assert lines[-1].endswith("msg=stopped")


def test_a_hangup_does_not_end_it(exporter):
    exporter.process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        exporter.process.wait(timeout=1)
    assert exporter.status("/metrics") == 200


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_while_it_reads(tmp_path, rank, number):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1) * 500_000)
    exporter = Exporter(rank.parent.parent, "--limits.bytes-per-tick=65536")
    exporter.start()
    try:
        until(lambda: exporter.status("/-/healthy") == 200)
        assert exporter.status("/-/ready") == 503
        exporter.process.send_signal(number)
        log = exporter.process.communicate(timeout=5)[1]
    finally:
        exporter.process.kill()
    assert exporter.process.returncode == 0
    assert log.splitlines()[-1].endswith("msg=stopped")
