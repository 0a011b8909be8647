# SPDX-License-Identifier: Apache-2.0
"""Runs lives natively and hooked, one after the other in the same directory."""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from primus_lens_hook import contract

from support import training, wandb_file
from support.environment import clean_environ
from support.hostile_hook import places
from support.hostile_hook.outcome import Outcome

TESTS = Path(__file__).parents[2]
HUNG = 30  # seconds; a life that is still there then is taken for hung
PIPE = 1 << 20  # bytes of notes that a life may leave
F_SETPIPE_SZ = 1031
OFF = {contract.ENV_HOOK: "false"}
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class Worker:
    """A zygote, and the directory of the life that it is having."""

    def __init__(self, directory):
        self.directory = directory
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "support.hostile_hook.zygote", str(theirs.fileno())],
                cwd=TESTS,
                env={**clean_environ(), **OFF, **ONE_THREAD, "PYTHONPATH": str(TESTS)},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._answers = self._ours.makefile("rb", buffering=0)

    def close(self):
        self._answers.close()
        self._ours.close()
        self._zygote.wait()

    def both(self, life):
        """The outcomes of a life natively and hooked."""
        return self.run(life, hooked=False), self.run(life, hooked=True)

    def run(self, life, *, hooked):
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / "work").mkdir(parents=True)
        (self.directory / "tmp").mkdir()
        for each in (self.directory, self.directory / "work", self.directory / "tmp"):
            each.chmod(0o777)  # for a life that goes on as another user
        with (
            places.made(life.place, self.directory) as (output, env),
            Notes(self.directory) as notes,
        ):
            request = self._request(life, hooked, output, env)
            status, left = self._ended(request, life)
            outcome = Outcome(life, status, self.directory, notes.read(), hooked=hooked)
            continue_daemon(env)  # or to look at its files would wait for it
            outcome.read()
            kill_group(left)
        return outcome

    def _request(self, life, hooked, output, env):
        script = self.directory / "life.py"
        script.write_text(life.script)
        environ = {
            **clean_environ(), **ONE_THREAD, **training.OFFLINE, **training.QUICK,
            "PYTHONPATH": str(TESTS),
            "TMPDIR": str(self.directory / "tmp"),
            "HOSTILE_LIFE": str(self.directory),
            "HOSTILE_NOTES": str(self.directory / "notes"),
            contract.ENV_OUTPUT_PATH: str(output),
            **dict(life.env), **env, **({} if hooked else OFF),
        }  # fmt: skip
        del environ["WANDB_MODE"]
        return {
            "script": str(script),
            "directory": str(self.directory / "work"),
            "env": environ,
            "printed": [str(self.directory / name) for name in ("stdout", "stderr")],
            "closed": life.closed,
            "starts": life.starts,
        }

    def _ended(self, request, life):
        """The exit status of a life, and its pid; a hung one is killed."""
        self._ours.sendall(json.dumps(request).encode() + b"\n")
        pid = int(self._answers.readline())
        answers = select.poll()  # select() takes no number beyond 1,023
        answers.register(self._answers, select.POLLIN)
        if not answers.poll(HUNG * 1000):
            where = waits_for(pid)
            kill_group(pid)
            continue_daemon(request["env"])  # not even SIGKILL ends a wait for it
            self._answers.readline()
            return f"hung in {where}", pid
        status = int(self._answers.readline())
        if life.mode == "offline" and not life.ends_abruptly:
            wandb_file.read(self.directory / "work" / "wandb", timeout=10)
        return status, pid


class Notes:
    """The named pipe into which a life writes its notes."""

    def __init__(self, directory):
        self._path = directory / "notes"

    def __enter__(self):
        os.mkfifo(self._path)
        self._path.chmod(0o666)
        self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self._pipe, F_SETPIPE_SZ, PIPE)
        return self

    def __exit__(self, *_):
        os.close(self._pipe)

    def read(self):
        try:
            return os.read(self._pipe, PIPE).decode()
        except BlockingIOError:  # none
            return ""


def continue_daemon(env):
    if "HOSTILE_DAEMON" in env:
        os.kill(int(env["HOSTILE_DAEMON"]), signal.SIGCONT)


def kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def waits_for(pid):
    """Where a process waits in the kernel."""
    try:
        return Path(f"/proc/{pid}/wchan").read_text() or "user code"
    except OSError:
        return "no process"
