# SPDX-License-Identifier: Apache-2.0
import decimal
import json
import math

try:
    import msgspec
except ImportError:  # where the hook's tests run without the exporter
    msgspec = None
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_hook.recording import scalars

# Half a pair and whole ones among the others.
text = st.text() | st.text("a\\\ud83d\ude00\udcff")
NUMBERS = st.floats() | st.integers() | st.booleans()
VALUES = st.recursive(
    NUMBERS | text | st.none(),
    lambda inner: st.dictionaries(text, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=10,
)


def encoded(data):
    text = "{" + scalars.encode(data) + "}"
    if msgspec is not None:
        msgspec.json.decode(text)  # stricter than json: no lone surrogate
    return json.loads(text, parse_constant=pytest.fail)


@given(st.dictionaries(text, VALUES))
def test_every_row_is_strict_json(data):
    encoded(data)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_numbers_survive_exactly(data):
    assert encoded(data) == data


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), "NaN"),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.array([[7.0]]), 7.0),
        (np.arange(3), {"_type": "ndarray"}),
        (np.datetime64("2026-01-01"), {"_type": "datetime64"}),
        ([1, 2], {"_type": "list"}),
        (decimal.Decimal(1), {"_type": "Decimal"}),
        (1j, {"_type": "complex"}),
        pytest.param(10**5000, {"_type": "int"}, id="huge"),
        ("\ud800", "\ufffd"),
        ("\\ud800", "\\ud800"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_values(value, json_value):
    assert encoded({"k": value}) == {"k": json_value}


def test_huge_ints_that_add_up_to_nothing():
    got = encoded({"a": 10**5000, "b": -(10**5000)})
    assert got == {"a": {"_type": "int"}, "b": {"_type": "int"}}


def test_a_huge_int_beside_a_float():
    assert encoded({"a": 10**400, "b": 0.5}) == {"a": {"_type": "int"}, "b": 0.5}


@given(st.dictionaries(st.text(max_size=3), st.integers().map(lambda n: n**99) | st.floats()))
def test_rows_of_any_numbers(data):
    assert encoded(data).keys() == data.keys()


def test_nested_keys_are_joined_with_dots():
    assert encoded({"a": {"b": {"c": 1}, 2: 3}, "d": {}}) == {"a.b.c": 1, "a.2": 3}


def test_made_up_keys_do_not_fill_the_memory():
    for i in range(3 * scalars.KEPT_TEMPLATES):
        scalars.template_of((f"k{i}",), {f"k{i}": i})
    assert len(scalars.TEMPLATES) <= scalars.KEPT_TEMPLATES


def test_the_users_row_is_left_alone():
    data = {"a": {"b": 1}, "c": [1]}
    scalars.encode(data)
    assert data == {"a": {"b": 1}, "c": [1]}
