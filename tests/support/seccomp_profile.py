# SPDX-License-Identifier: Apache-2.0
"""A seccomp profile of a container, put on a command as a runtime does; on x86_64."""

import json
import re
import struct
import sys
from pathlib import Path

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")  # the kernel's, of linux-libc-dev
LOAD, AND, SAME, RETURN, ALLOW, ERRNO = 0x20, 0x54, 0x15, 0x06, 0x7FFF0000, 0x50000
NUMBER, FIRST_ARGUMENT = 0, 16

APPLY = """
import ctypes, os, sys
code = bytes.fromhex(sys.argv[1])
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0) == 0  # PR_SET_SECCOMP
os.execv(sys.argv[2], sys.argv[2:])
"""


def wrapper(path):
    """What goes before a command that is to run under the profile."""
    return [sys.executable, "-c", APPLY, program(json.loads(path.read_text())).hex()]


def program(profile):
    defined = re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text())
    numbers = {name: int(number) for name, number in defined}
    steps = [(LOAD, 0, 0, NUMBER)]
    for rule in profile["syscalls"]:
        [condition] = rule.get("args") or [None]
        allow = _masked(condition) if condition else [(RETURN, 0, 0, ALLOW)]
        for name in numbers.keys() & set(rule["names"]):
            steps += [(SAME, 0, len(allow), numbers[name]), *allow]
    steps.append((RETURN, 0, 0, ERRNO | profile["defaultErrnoRet"]))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _masked(condition):
    assert (condition["op"], condition["index"]) == ("SCMP_CMP_MASKED_EQ", 0)
    check = (AND, 0, 0, condition["value"]), (SAME, 0, 1, condition["valueTwo"])
    refuse = RETURN, 0, 0, ERRNO | 1
    return [(LOAD, 0, 0, FIRST_ARGUMENT), *check, (RETURN, 0, 0, ALLOW), refuse]
