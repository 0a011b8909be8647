# SPDX-License-Identifier: Apache-2.0
"""What `primus-lens top` makes of names, numbers, keys and widths, without a terminal."""

import contextlib
import itertools
import os
import pty
import termios
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from primus_lens_exporter.top import text
from primus_lens_exporter.top.columns import Column, table
from primus_lens_exporter.top.keyboard import Keyboard, Keys
from rich.cells import cell_len
from rich.text import Text

HUGE = 1.7e308
NAMES = st.text(st.characters(codec=None)) | st.text("\x1b[\x07\x9b\u202ee\u0301汉👍🏽\ufe0f\u200d")


@given(NAMES)
@example("A\ufe00\u0300")
def test_no_name_can_do_anything(name):
    shown = text.harmless(name)
    categories = {unicodedata.category(each) for each in shown}
    assert not categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert shown.isprintable() or categories & {"Zs", "Cn", "Co"}
    assert shown == text.harmless(shown)


@given(NAMES)
def test_a_name_is_as_wide_as_its_characters(name):
    shown = text.harmless(name)
    assert cell_len(shown) == sum(map(cell_len, shown))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("llama [red]70b[/red] :tada:", "llama [red]70b[/red] :tada:"),
        ("\x1b[2J", "�[2J"),
        ("a\nb\tc\rd", "a�b�c�d"),
        ("\x9b31m\x85", "�31m�"),
        ("\u202egnp.exe\u2066", "�gnp.exe�"),
        ("e\u0301", "é"),
        ("q" + "\u0301" * 9, "q\u0301\u0301"),
        ("👍🏽", "👍�"),
        ("\ud800", "�"),
        ("汉字", "汉字"),
    ],
)
def test_names(name, shown):
    assert text.harmless(name) == shown


def test_an_endless_name_ends():
    assert len(text.harmless("x" * 10_000_000)) == text.LONGEST


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([3.0, 3.0], "▁▁"),
        ([0.0, 1.0, 2.0], "▁▅█"),
        ([None, 0.0, 7.0], "!▁█"),
        ([None, None], "!!"),
        ([0.0, 9.0, 0.0, 1.0, 0.0, 0.0, 0.0, None], "█▁▁!"),
        ([-HUGE, HUGE], "▁█"),
        ([0.0, 5e-324], "▁▁"),
    ],
)
def test_curves(values, curve):
    assert text.spark(values, 4) == curve


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False)), st.integers(1, 70))
def test_a_curve_of_anything_fits(values, width):
    assert len(text.spark(values, width)) == min(width, len(values))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.step(None), ""),
        (text.step(12345.0), "12,345"),
        (text.step(0.5), "0.5"),
        (text.step(1e300), "1e+300"),
        (text.step("NaN"), "NaN"),
        (text.value(0.123456), "0.1235"),
        (text.value("-Infinity"), "-Infinity"),
        (text.value("\x1b[1m"), "�[1m"),
        (text.rate(None), ""),
        (text.rate(0.01234), "0.0123"),
        (text.rate(1234.5), "1,234"),
        (text.rate(1e300), "1e+300"),
        (text.age(-5), "0s"),
        (text.age(119.4), "119s"),
        (text.age(3600), "60m"),
        (text.age(86_400), "24h"),
        (text.age(200_000), "2d"),
        (text.age(float("inf")), "?"),
        (text.age(1e300), "?"),
        (text.size(999), "999 B"),
        (text.size(1_500_000), "1.5 MB"),
    ],
)
def test_numbers(shown, expected):
    assert shown == expected


COLUMNS = [
    Column("name", 9, lambda row: Text(row["name"]), least=8),
    Column("step", 5, lambda row: Text(row["step"]), right=True),
    Column("where", 1, lambda row: Text(row["where"]), least=6),
    Column("empty", 7, lambda row: Text("")),
]
ROWS = [
    {"name": "a-long-name-of-a-run", "step": "10", "where": "research"},
    {"name": "汉字漢字測試名字漢字", "step": "12,345", "where": "x"},
]


@pytest.mark.parametrize(
    ("width", "titles", "first", "second"),
    [
        (None, "name                    step  where   ", "a-long-name-of-a-run      10  research",
         "汉字漢字測試名字漢字  12,345  x       "),
        (30, "name              step  where ", "a-long-name-o…      10  resea…",
         "汉字漢字測試 …  12,345  x     "),
        (20, "name            step", "a-long-name…      10", "汉字漢字測 …  12,345"),
        (6, "name  ", "a-lon…", "汉字 …"),
        (1, "…", "…", "…"),
    ],
)  # fmt: skip
def test_what_is_less_important_goes_first(width, titles, first, second):
    laid = table(COLUMNS, ROWS, width)
    assert [laid.titles.plain, *(row.plain for row in laid.rows)] == [titles, first, second]


@given(st.integers(1, 60))
def test_lines_are_as_wide_as_each_other_and_fit(width):
    laid = table(COLUMNS, ROWS, width)
    assert {row.cell_len for row in laid.rows} == {laid.titles.cell_len}
    assert laid.titles.cell_len <= width


TYPED = "jq\x1b[A\x1bOB\x1b[5~\r/ü汉\x7f\x1b[200~\x1b[1;5C\x1b\x1b[B\x01x"
MEANT = ["j", "q", "up", "down", "pageup", "enter", "/", "ü", "汉", "backspace", "escape", "down"]


@given(st.lists(st.integers(0, len(TYPED.encode()))))
def test_keys_are_the_same_however_they_are_cut_up(places):
    keys, data = Keys(), TYPED.encode()
    edges = [0, *sorted(places), len(data)]
    parts = (data[start:end] for start, end in itertools.pairwise(edges))
    typed = [key for part in parts for key in keys.feed(part)]
    assert typed == [*MEANT, "x"]


def test_escape_alone_is_known_when_nothing_follows():
    keys = Keys()
    assert (keys.feed(b"\x1b"), keys.unsure) == ([], True)
    assert (keys.rest(), keys.unsure, keys.rest()) == (["escape"], False, [])


def test_a_fault_leaves_the_terminal_as_it_was():
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    within = []
    with contextlib.suppress(ZeroDivisionError), Keyboard(slave):
        within.append(termios.tcgetattr(slave))
        _ = 1 / 0
    assert within != [before]
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    os.close(master)
