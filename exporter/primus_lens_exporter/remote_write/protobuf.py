# SPDX-License-Identifier: Apache-2.0
"""Protobuf's wire format, written piece by piece where a message object for each sample is slow.

Source: protobuf.dev/programming-guides/encoding. Nothing is read here: that is left to protobuf.
"""

from __future__ import annotations

import struct

LENGTH_DELIMITED = 2  # wire type of messages, strings and packed numbers

double = struct.Struct("<d").pack


def varint(number: int) -> bytes:
    """A number of zero or more."""
    if number < 0x80:
        return _ONE_BYTE[number]
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_ONE_BYTE = [bytes([number]) for number in range(0x80)]


def field(number: int, content: bytes) -> bytes:
    """A message, string or packed list as a field of the message around it."""
    return b"%c%b%b" % (number << 3 | LENGTH_DELIMITED, varint(len(content)), content)


class FieldHeads(dict[int, bytes]):
    """What stands before the content of a field of one number, by the content's length."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._tag = varint(number << 3 | LENGTH_DELIMITED)

    def __missing__(self, length: int) -> bytes:
        self[length] = head = self._tag + varint(length)
        return head


class SampleFrames(dict[int, tuple[bytes, bytes]]):
    """What stands before and behind the value of a sample, by its time in milliseconds.

    A sample is field 2 of its series in both versions, its value field 1 and its time field 2.
    Samples of one record have one time.
    """

    def __missing__(self, at: int) -> tuple[bytes, bytes]:
        time = b"\x10" + varint(at)
        self[at] = frame = (bytes([0x12, 9 + len(time), 0x09]), time)
        return frame
