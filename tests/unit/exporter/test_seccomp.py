# SPDX-License-Identifier: Apache-2.0
"""What the filter says to each kernel and each of its ABIs, also those that this machine is not."""

import struct

import pytest
from primus_lens_exporter import seccomp

ALLOWED, REFUSED = 0x7FFF0000, 0x00050001  # 1: EPERM


def verdict(abi, number):
    """As the kernel runs a filter (seccomp(2), Documentation/networking/filter.rst)."""
    steps = list(struct.iter_unpack("=HBBI", seccomp.program()))
    data, at, loaded = {0: number, 4: abi}, 0, None
    while True:
        code, same, other, operand = steps[at]
        if code == 0x06:
            return operand
        if code == 0x20:
            loaded = data[operand]
        else:
            assert code == 0x15
            at += same if loaded == operand else other
        at += 1


# From the kernel's tables: of open_by_handle_at; io_uring_setup has one number on all of them.
@pytest.mark.parametrize(
    ("abi", "number", "bit"),
    [
        pytest.param(0xC000003E, 304, 0, id="x86_64"),
        pytest.param(0xC000003E, 304, 0x40000000, id="x32"),
        pytest.param(0x40000003, 342, 0, id="i386"),
        pytest.param(0xC00000B7, 265, 0, id="aarch64"),
        pytest.param(0x40000028, 371, 0, id="arm"),
    ],
)
def test_two_calls_are_refused_and_all_others_allowed(abi, number, bit):
    refused = [each for each in range(1024) if verdict(abi, each | bit) == REFUSED]
    assert refused == [number, 425]
    assert {verdict(abi, each | bit) for each in range(1024)} == {ALLOWED, REFUSED}


def test_an_abi_of_another_kernel_is_left_alone():
    assert {verdict(0xC00000F3, each) for each in range(1024)} == {ALLOWED}  # riscv64
