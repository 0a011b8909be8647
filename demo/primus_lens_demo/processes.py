# SPDX-License-Identifier: Apache-2.0
"""Starting the processes of the demo, each as a user would, and ending them all."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class DemoError(Exception):
    """The demo cannot go on; the text says which process failed and what it printed."""


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes to `log` and is terminated at the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `url` answers. Raises DemoError when the process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError):
            fetch(url)
            return
        time.sleep(0.1)
    raise DemoError(f"{url} does not answer; {log.stem} printed:\n{tail(log)}")


def fetch(url: str) -> bytes:
    """The body at `url`. Raises OSError."""
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  always http
        body: bytes = response.read()
    return body


def tail(log: Path, lines: int = 15) -> str:
    """The last lines that a process printed."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """A port on the loopback that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def exporter_command(records: Path, port: int) -> list[str | Path]:
    """The command line of the exporter, as the README has it."""
    listen = ["--web.listen-address", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", "primus_lens_cli", "exporter", "--records.path", records, *listen]
