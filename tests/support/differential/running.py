# SPDX-License-Identifier: Apache-2.0
"""Runs a script as a process, natively or hooked, and collects what it leaves behind."""

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from primus_lens_hook import contract

from support import training
from support.differential.compare import compare
from support.differential.outcome import Outcome
from support.differential.rules import Broken
from support.wandb_server import WandbServer

NATIVE = {contract.ENV_HOOK: "false"}
KEEP = {contract.ENV_DUPLICATES: "keep"}
TIMEOUT = 120
SLOW_START = re.compile("ServiceStart[A-Za-z]+Error|ManagerConnection[A-Za-z]*Error")


class Hung(Exception):
    """The process did not end."""


def run(directory, script, *, hooked, python=None, env=None, online=False):
    """The outcome of one process; `online` runs go to a server of their own."""
    if online:
        with WandbServer() as server:
            env = {**(env or {}), **server.environ}
            done = trained(directory, script, hooked, python, env)
        return Outcome(done, is_hooked=hooked, online=server.runs)
    return Outcome(trained(directory, script, hooked, python, env), is_hooked=hooked)


def trained(directory, script, hooked, python, env):
    """The process has run; again where wandb's own process did not start in time.

    wandb alone hangs at times on a busy machine: only a process that hangs again has hung.
    """
    env = {**training.QUICK, **(env or {}), **({} if hooked else NATIVE)}
    who = "the hooked process" if hooked else "the native process"
    for _ in range(2):
        shutil.rmtree(directory, ignore_errors=True)
        how = {"python": python or sys.executable, "env": env, "timeout": TIMEOUT}
        try:
            done = training.run(directory, script, **how)
        except subprocess.TimeoutExpired:
            print(f"{who} hung, and is tried again", file=sys.stderr)
            continue
        if not SLOW_START.search(done.stderr):
            return done
    raise Hung(f"{who} hung, or did not start, twice")


def both(directory, script, *, python=None, env=None, online=False, hooked=True):
    """Outcomes of the script natively and hooked; `hooked=False` compares native with itself."""
    directory.mkdir(parents=True, exist_ok=True)
    how = {"python": python, "env": env, "online": online}
    with ThreadPoolExecutor(1) as pool:  # both at once: wandb mostly waits for its other process
        native = pool.submit(run, directory / "native", script, hooked=False, **how)
        other = run(directory / "hooked", script, hooked=hooked, **how)
        return native.result(), other


def broken(script, python=None, *, keep_duplicates=False, hooked=True, online=False, check=compare):
    """Run a script natively and hooked; returns what is broken."""
    how = {"python": python, "env": KEEP if keep_duplicates else {}, "online": online}
    with tempfile.TemporaryDirectory(prefix="primus-lens-differential-") as directory:
        try:
            outcomes = both(Path(directory), script, hooked=hooked, **how)
        except Hung as error:
            return [Broken(6, "process", str(error))]
        return check(*outcomes, keep_duplicates=keep_duplicates)
