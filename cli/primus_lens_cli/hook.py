# SPDX-License-Identifier: Apache-2.0
"""`primus-lens hook check|install|uninstall`: the start-up hook of this interpreter."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import traceback
from typing import Any, Dict, List, Optional, Tuple

from primus_lens_hook import __version__, contract
from primus_lens_hook.mounts import hanging_type

from primus_lens_cli import payload

# The very file that the wheel brings; a test holds them together.
PTH = "primus_lens_hook.pth"
PTH_TEXT = (
    'import sys; exec("try:\\n from primus_lens_hook.boot import start\\n start()'
    '\\nexcept Exception: pass")\n'
)
# Python 3.15 knows both (PEP 829), and from 3.18 on ignores import lines of a `.pth`. Not sooner:
# for a `.start` site loads pkgutil and re, 25 million instructions at each start against the 2 of
# the `.pth`, and where the package is gone it prints a traceback at each start of each program.
START = "primus_lens_hook.start"
START_TEXT = "primus_lens_hook.boot:start\n"
START_SINCE = (3, 18)
PROBE = """
import sys
boot = sys.modules.get("primus_lens_hook.boot")
print("absent" if boot is None else "loaded" if boot.installed() else "off")
"""
WANDB = """
import importlib.util, sys
sys.exit(importlib.util.find_spec("wandb") is None)
"""
# Of another's import nothing is to be seen here: it may print, and its threads may outlive it.
DECLINED = """
import os, sys
out = os.dup(1)
os.dup2(2, 1)
import wandb
from primus_lens_hook import patch
parts = patch.the_hook().recorder.declined
os.write(out, "".join("%s: %s\\n" % each for each in sorted(parts.items())).encode())
os._exit(0)
"""
NO_WRAPPER = (
    "primus-lens hook: %s cannot be run (is it mounted noexec?): commands start without the hook"
)
IMPORTING = 60.0  # seconds; of a cold network file system


def main(arguments: List[str]) -> int:
    """Returns 0 when done (`check`: when the hook loads), 1 when not, 2 on bad usage."""
    parser = _parser()
    given = parser.parse_args(arguments)
    command = given.command
    if command is None:
        parser.error("name a command: check, install or uninstall")
    if command == "install" and given.source and not given.to:
        parser.error("--from goes with --to")
    if command == "install" and given.best_effort and not given.to:
        parser.error("--best-effort goes with --to")
    if command == "install" and given.to:
        to_directory = best_effort if given.best_effort else install_to
        return to_directory(given.to, given.source)
    if command == "check":
        return check()
    try:
        return {"install": install, "uninstall": uninstall}[command]()
    except OSError as error:
        where = error.filename or site_packages()
        print("primus-lens hook: %s: %s" % (where, error.strerror), file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="primus-lens hook", description="The start-up hook of " + sys.executable
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    checks = "say whether the hook loads in this interpreter, and why not"
    commands.add_parser(
        "check",
        help=checks,
        description=checks + ", and which of its parts leave the installed wandb alone. For that "
        "it imports wandb in a process of its own, which takes a second or two; no run is begun. "
        "What only a run can show is in wandb_hook.json beside the records.",
    )
    installer = commands.add_parser(
        "install",
        help="put the start-up files into site-packages (pip does it too, up to Python 3.17)",
    )
    installer.add_argument(
        "--to", metavar="DIR", help="instead, make DIR hold what injected pods get"
    )
    installer.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        help="with --to: where that lies [%s in the image; else made of this package]"
        % payload.PREBUILT,
    )
    installer.add_argument(
        "--best-effort",
        action="store_true",
        help="with --to: end with status 0 even if that fails, as an init container must that may "
        "not fail its pod",
    )
    commands.add_parser("uninstall", help="take the start-up files out of site-packages")
    return parser


def check() -> int:
    """Start this interpreter as a user would, and see."""
    found = (_ask(PROBE) or "").strip()
    reason = {"loaded": None, "off": _why_off(), "absent": _why_absent()}.get(found, found)
    print("interpreter  %s (%s)" % (sys.executable, platform.python_version()))
    print("hook         %s, %s" % (__version__, "loads" if reason is None else "does not load"))
    if reason is not None:
        print("reason       " + reason)
    has_wandb = _ask(WANDB) is not None
    print("wandb        " + ("found" if has_wandb else "not installed here"))
    if has_wandb and reason is None:
        print("declined     " + _declined())
    print("records      " + _records())
    return 0 if reason is None else 1


def install() -> int:
    """Write the start-up files into site-packages."""
    for name, text in startup_files(sys.version_info[:2]).items():
        with open(os.path.join(site_packages(), name), "w") as file:
            file.write(text)
    print("installed in " + site_packages())
    return 0


def install_to(directory: str, source: Optional[str]) -> int:
    """Make a directory hold the tree that pods get, and say where."""
    directory = os.path.abspath(directory)
    if source is None and os.path.isdir(payload.PREBUILT):
        source = payload.PREBUILT
    try:
        payload.reserve(directory)
        if source is not None:
            runs = payload.install(source, directory)
        else:
            with tempfile.TemporaryDirectory() as tree:
                payload.prepare(tree, directory)
                runs = payload.install(tree, directory)
    except OSError as error:
        about = error.filename2 or error.filename  # of a copy, the one that cannot be written
        known = about is None or str(about).startswith(directory)
        reason = error.strerror if known else "%s: %s" % (about, error.strerror)
        print("primus-lens hook: cannot install into %s: %s" % (directory, reason), file=sys.stderr)
        return 1
    print("installed %s in %s" % (__version__, directory))
    if not runs:
        print(NO_WRAPPER % os.path.join(directory, payload.WRAPPER), file=sys.stderr)
    return 0


def best_effort(directory: str, source: Optional[str]) -> int:
    """The same, and whatever goes wrong is said and is no failure."""
    try:
        install_to(directory, source)
    except Exception:  # noqa: BLE001 - a fault of ours must not keep a pod from starting
        traceback.print_exc()
    return 0


def uninstall() -> int:
    """Remove the start-up files; it is fine if there are none."""
    for name in (PTH, START):
        path = os.path.join(site_packages(), name)
        if os.path.exists(path):
            os.unlink(path)
    print("not installed any more in " + site_packages())
    return 0


def startup_files(version: Tuple[int, int]) -> Dict[str, str]:
    """By name, what makes this version of Python load the hook; the last is the one it uses."""
    files = {PTH: PTH_TEXT}
    if version >= START_SINCE:
        files[START] = START_TEXT
    return files


def site_packages() -> str:
    """Where this interpreter looks for start-up files of pure Python packages."""
    return sysconfig.get_paths()["purelib"]


def _ask(program: str, **run: Any) -> Optional[str]:
    """What a fresh interpreter prints; None when it fails."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        stdout=subprocess.PIPE,
        universal_newlines=True,
        **run,
    )
    return done.stdout if done.returncode == 0 else None


def _declined() -> str:
    """The parts that leave this wandb alone, each with its reason."""
    # Without records: the status of a training may lie where this one would be written.
    environ = {**os.environ, contract.ENV_SAVE_LOCAL: "false"}
    try:
        parts = _ask(DECLINED, env=environ, timeout=IMPORTING, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "not known: wandb is not imported within %d s" % IMPORTING
    if parts is None:
        return "not known: wandb cannot be imported"
    return "; ".join(parts.splitlines()) or "nothing"


def _why_off() -> str:
    value = os.environ.get(contract.ENV_HOOK, "")
    return "switched off: %s=%s; unset it, or set it to true" % (
        contract.ENV_HOOK,
        value,
    )


def _why_absent() -> str:
    path = os.path.join(site_packages(), list(startup_files(sys.version_info[:2]))[-1])
    if not os.path.exists(path):
        return "no %s; run: primus-lens hook install" % path
    return "%s is there, but this interpreter cannot import primus_lens_hook from it" % path


def _records() -> str:
    path = os.environ.get(contract.ENV_OUTPUT_PATH)
    if not path:
        return "none: %s is not set" % contract.ENV_OUTPUT_PATH
    existing = path = os.path.abspath(path)
    kind = hanging_type(path)
    if kind is not None:  # not looked at: this command would hang too
        return "%s (on %s, which can hang: written by a thread)" % (path, kind)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    return path if os.access(existing, os.W_OK) else path + " (not writable by this user)"
