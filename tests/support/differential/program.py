# SPDX-License-Identifier: Apache-2.0
"""A training program: a list of operations, each of which renders to lines of Python.

Values are source text (`1001`, `numpy.float32(2)`), so that a program can be printed,
shrunk and run again without anything but this text.
"""

import dataclasses
import textwrap
from typing import NamedTuple


class Log(NamedTuple):
    """`run.log` of a row; `step` and `commit` are left out of the call where they are None."""

    row: tuple  # of (key, value), both source text
    step: str | None = None
    commit: bool | None = None

    def lines(self):
        row = ", ".join(f"{key}: {value}" for key, value in self.row)
        step = "" if self.step is None else f", step={self.step}"
        commit = "" if self.commit is None else f", commit={self.commit}"
        return [f"log(run, {{{row}}}{step}{commit})"]

    def smaller(self):
        """The same with one key less, in each way."""
        for left_out in range(len(self.row) if len(self.row) > 1 else 0):
            yield self._replace(row=self.row[:left_out] + self.row[left_out + 1 :])


class Line(NamedTuple):
    """Any other lines of Python."""

    text: str

    def lines(self):
        return self.text.splitlines()

    def smaller(self):
        return ()


class Block(NamedTuple):
    """Operations in a function of their own, called in some way by the lines that follow it."""

    name: str
    operations: tuple
    call: str

    def lines(self):
        return [f"def {self.name}():", *indented(body(self.operations)), *self.call.splitlines()]

    def smaller(self):
        for operations in fewer(self.operations):
            if operations:
                yield self._replace(operations=tuple(operations))


@dataclasses.dataclass(frozen=True)
class Program:
    """One run of a training, from after `wandb.init` to before `finish`."""

    name: str  # the run's id too
    operations: tuple

    def lines(self):
        return body(self.operations)

    def with_operations(self, operations):
        return dataclasses.replace(self, operations=tuple(operations))


def fewer(operations):
    """The operations without one of them, or with one of them smaller."""
    for position, operation in enumerate(operations):
        before, after = operations[:position], operations[position + 1 :]
        yield [*before, *after]
        yield from ([*before, smaller, *after] for smaller in operation.smaller())


def body(operations):
    return [line for operation in operations for line in operation.lines()] or ["pass"]


def indented(lines):
    return textwrap.indent("\n".join(lines), "    ").splitlines()
