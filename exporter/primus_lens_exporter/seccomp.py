# SPDX-License-Identifier: Apache-2.0
"""A seccomp filter that takes open_by_handle_at(2) away from this process.

CAP_DAC_READ_SEARCH, without which the exporter cannot read the records of other users, also
allows this call: it opens any file of a file system by its number, also outside of the directory
that is mounted. Container runtimes refuse it only to those without the capability.

The filter holds for all threads and children, and cannot be removed. It must never refuse a
call that the exporter makes.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import struct

# linux/audit.h
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
X32 = 1 << 30  # in a call's number: the third way into an x86_64 kernel

OPEN_BY_HANDLE_AT = ((X86_64, 304), (X86_64, X32 | 304), (I386, 342), (AARCH64, 265), (ARM, 371))
# No filter sees the operations of an io_uring.
IO_URING_SETUP = tuple((abi, number & X32 | 425) for abi, number in OPEN_BY_HANDLE_AT)
REFUSED = OPEN_BY_HANDLE_AT + IO_URING_SETUP

SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
# linux/seccomp.h, linux/prctl.h
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS = 38
# linux/bpf_common.h, and where linux/seccomp.h has the two in its seccomp_data
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, ABI = 0, 4

log = logging.getLogger(__name__)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_handles() -> None:
    """Apply the filter; where the kernel has none, log it and go on."""
    try:
        _apply(program())
    except OSError as error:
        log.warning(
            "open_by_handle_at is not blocked: with CAP_DAC_READ_SEARCH this process could open "
            "any file of the node; use a kernel and a sandbox that allow seccomp",
            extra={"error": error.strerror},
        )


def program() -> bytes:
    """The filter, in classic BPF; the same for each kernel that it knows."""
    refuse = _step(RETURN, SECCOMP_RET_ERRNO | errno.EPERM)
    steps = []
    for abi, number in REFUSED:
        steps += [_step(LOAD, ABI), _step(JUMP_IF_EQUAL, abi, otherwise=3)]
        steps += [_step(LOAD, NUMBER), _step(JUMP_IF_EQUAL, number, otherwise=1), refuse]
    return b"".join([*steps, _step(RETURN, SECCOMP_RET_ALLOW)])


def _step(code: int, operand: int, otherwise: int = 0) -> bytes:
    """One instruction; `otherwise`: how many to skip where the comparison fails."""
    return struct.pack("=HBBI", code, 0, otherwise, operand)


def _apply(filter: bytes) -> None:
    """Raises OSError."""
    machine = os.uname().machine
    call = SYS_SECCOMP.get(machine)
    if call is None or struct.calcsize("P") != 8:  # a 32-bit process has other numbers
        raise OSError(errno.ENOSYS, f"no filter for this kind of process on {machine}")
    libc = ctypes.CDLL(None, use_errno=True)
    # Without CAP_SYS_ADMIN the kernel wants this first: no child may gain privileges.
    if libc.prctl(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    given = _Program(len(filter) // 8, filter)
    flags = ctypes.c_ulong(SECCOMP_FILTER_FLAG_TSYNC)  # all threads, also those that run already
    result = libc.syscall(call, SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(given))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if result > 0:
        raise OSError(errno.ESRCH, f"thread {result} has a filter of its own")
