# SPDX-License-Identifier: Apache-2.0
"""A command in a real terminal: a pty, and pyte to read what is on its screen."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios

import pyte

from support.environment import clean_environ
from support.serving import until

PROGRAM = sys.executable, "-m", "primus_lens_cli"
UP, DOWN, ENTER, ESCAPE, CTRL_C, CTRL_Z = "\x1b[A", "\x1b[B", "\r", "\x1b", "\x03", "\x1a"
ALTERNATE, NORMAL, HIDE, SHOW = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25l", b"\x1b[?25h"


def _take_control():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """Runs `primus-lens` with these arguments; ends it in the end.

    Where the terminal is not `controlling`, it makes no signals.
    """

    def __init__(self, *arguments, columns=100, lines=30, environ=(), controlling=True):
        self.master, self.slave = pty.openpty()
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**clean_environ(), "TERM": "xterm-256color", **dict(environ)},
            start_new_session=True,
            # There are no threads here, and nothing to import.
            preexec_fn=_take_control if controlling else None,  # noqa: PLW1509
        )
        os.set_blocking(self.master, False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()
        with contextlib.suppress(OSError):
            os.close(self.slave)

    def hang_up(self):
        """The terminal goes, as when a connection breaks."""
        if self.master is not None:
            os.close(self.master)
        self.master = None

    def resize(self, columns, lines):
        """As a window does; the kernel tells the process."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def type(self, keys):
        os.write(self.master, keys.encode())

    @property
    def text(self):
        """What is on the screen now."""
        with contextlib.suppress(BlockingIOError):
            while read := os.read(self.master, 65536):
                self.raw += read
                self.stream.feed(read)
        return "\n".join(line.rstrip() for line in self.screen.display)

    @property
    def lines(self):
        return self.text.split("\n")

    def wait(self, *texts):
        """Until all of them are on the screen."""
        try:
            until(lambda: all(each in self.text for each in texts))
        except AssertionError:
            raise AssertionError(f"no {texts} in:\n{self.text}") from None

    def wait_without(self, text):
        until(lambda: text not in self.text)

    def stopped(self):
        """Whether the process has been suspended; asks the kernel once."""
        pid, status = os.waitpid(self.process.pid, os.WUNTRACED | os.WNOHANG)
        return pid and os.WIFSTOPPED(status)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """The exit status."""
        until(lambda: self.text and self.process.poll() is not None)
        return self.process.returncode

    @property
    def restored(self):
        """Whether the terminal is as it was: its mode, its screen, its cursor."""
        _ = self.text
        left = self.raw.rfind(NORMAL) > self.raw.rfind(ALTERNATE) >= 0
        seen = self.raw.rfind(SHOW) > self.raw.rfind(HIDE) >= 0
        return left and seen and termios.tcgetattr(self.slave) == self.before
