# SPDX-License-Identifier: Apache-2.0
"""Commands that only keep a container alive, for what is started in it later by other ways.

Of a shell's script each command must be known: what may be a training must not be taken for one
that idles.
"""

from __future__ import annotations

import posixpath
import re

SSHD = "sshd"
INITS = ("tini", "dumb-init", "catatonit")
SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh")
WAITING = (SSHD, "sleep", "tail")
PREPARING = frozenset(
    {
        ":", "cat", "cd", "chmod", "chown", "cp", "done", "echo", "export", "ln", "mkdir",
        "service", "set", "ssh-keygen", "touch", "trap", "true", "ulimit", "umask", "wait",
    }
)  # fmt: skip
PREFIXES = ("exec", "do", "while", "nohup")
SEPARATOR = re.compile(r"&&|\|\||[;&\n]")
LONGEST_SCRIPT = 4096  # characters


def idle_program(argv: list[str]) -> str:
    """`sshd`, `sleep` or `tail`, if the command does nothing else; "" otherwise."""
    start = 0
    if argv and _name(argv[0]) in INITS:
        options = (index for index, each in enumerate(argv) if index and each[:1] != "-")
        start = next(options, len(argv))
    rest = argv[start:]
    if not rest:
        return ""
    if _name(rest[0]) not in SHELLS:
        return _waiting(rest)
    has_script = len(rest) > 2 and re.fullmatch(r"-[a-z]*c", rest[1])
    return _of_script(rest[2]) if has_script else ""


def _of_script(script: str) -> str:
    found = ""
    if len(script) > LONGEST_SCRIPT:
        return ""
    for command in SEPARATOR.split(script):
        words = command.split()
        while words and words[0] in PREFIXES:
            del words[0]
        waiting = _waiting(words)
        if words and not waiting and _name(words[0]) not in PREPARING:
            return ""
        found = waiting or found
    return found


def _waiting(words: list[str]) -> str:
    program = _name(words[0]) if words else ""
    if program not in WAITING or (program == "tail" and "/dev/null" not in words):
        return ""
    return program


def _name(program: str) -> str:
    return posixpath.basename(program)
