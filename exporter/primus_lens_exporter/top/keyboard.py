# SPDX-License-Identifier: Apache-2.0
"""The keyboard: bytes of a terminal into keys, and the terminal's mode while they are read.

The mode must be what it was when we end, however we end: without an echo the user's shell
looks dead.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import termios
import tty
from typing import Self

# What terminals send, in their normal and their application mode, after ESC.
SEQUENCES = {
    "[A": "up", "OA": "up", "[B": "down", "OB": "down",
    "[H": "home", "OH": "home", "[1~": "home", "[F": "end", "OF": "end", "[4~": "end",
    "[5~": "pageup", "[6~": "pagedown",
}  # fmt: skip
NAMES = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace"}
# A control sequence (ECMA-48) or one of the shorter ones, perhaps not whole yet.
SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|[^\[O\x1b])", re.DOTALL)
BEGUN = re.compile(r"\x1b(\[[0-?]*[ -/]*|O)?")


class Keys:
    """Puts keys together from what was read, however it was cut up."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def unsure(self) -> bool:
        """Whether what was read last may be Esc, or the beginning of another key."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are whole now: a name, or the character itself."""
        text, keys = self._rest + self._decoder.decode(data), []
        while text and not BEGUN.fullmatch(text):
            sequence = SEQUENCE.match(text)
            if sequence:
                keys.append(SEQUENCES.get(sequence[1], ""))
            elif text[0] == "\x1b":
                keys.append("escape")
            elif text[0] in NAMES or text[0].isprintable():
                keys.append(NAMES.get(text[0], text[0]))
            text = text[sequence.end() if sequence else 1 :]
        self._rest = text
        return [key for key in keys if key]

    def rest(self) -> list[str]:
        """Nothing more has come: what was begun was Esc."""
        begun, self._rest = self._rest, ""
        return ["escape"] if begun else []


class Keyboard:
    """Within `with`, each key is there at once and unseen. Ctrl-C and Ctrl-Z stay signals."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before = termios.tcgetattr(descriptor)

    def __enter__(self) -> Self:
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(termios.error):  # the terminal itself has gone
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._before)
