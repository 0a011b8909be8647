# SPDX-License-Identifier: Apache-2.0
"""Odd values: W&B and the JSONL say the same of each, and it costs nothing but itself."""

import random

import msgspec
import pytest

from support import frameworks, matrix, odd_values, training
from support.odd_values import LIBRARIES, NESTED, NUMPY, PLAIN, RAISING, agree, by_number, flat

ALL = {**PLAIN, **NUMPY, **RAISING, **NESTED}
NATIVE = {"PRIMUS_LENS_WANDB_HOOK": "off"}
IN_ORDER, LATE = "{}", "dict(step=number * 2 - number % 2 * 9)"


@pytest.fixture
def both(tmp_path):
    """Runs a training with the hook and without it, and holds the first to the second."""

    def both(script, **options):
        done = training.run(tmp_path / "ours", script, **options)
        native = training.run(tmp_path / "native", script, env=NATIVE, **options)
        assert (done.status, done.complaints) == (0, []), done.stderr
        # A mapping that cannot be copied is a row nevertheless: wandb gets a dict.
        assert set(done.stdout.splitlines()) <= set(native.stdout.splitlines())
        assert done.outcome["outcome"] == "patched"
        assert any("late" in row for row in done.rows)
        for path in done.output.rglob("*.jsonl"):
            msgspec.json.Decoder().decode_lines(path.read_bytes())
        return done, native

    return both


def check(done, native, expected):
    """Each value has a whole record, which agrees with W&B."""
    records, rows, natives = map(by_number, (done.data, map(flat, done.rows), native.rows))
    check_records(records, done, expected)
    assert natives.keys() <= rows.keys()
    for number, row in rows.items():
        for key in row.keys() & records[number].keys():
            assert agree(records[number][key], row[key]), (list(expected)[number], key)


def check_records(records, done, expected):
    missing = {int(line.split()[0]) for line in done.stdout.splitlines() if "missing" in line}
    for number, (text, odd) in enumerate(expected.items()):
        if number not in missing:
            found = odd if isinstance(odd, dict) and "_type" not in odd else {"odd": odd}
            assert records[number] == {"i": number, "loss": 0.5, **found}, text


@pytest.mark.parametrize("how", [IN_ORDER, LATE], ids=["in order", "late"])
def test_each_value(both, how):
    check(*both(odd_values.of_values(ALL, how)), ALL)


def test_a_disabled_run(train):
    odd_names = {"WANDB_MODE": "disabled", "WANDB_RUN_ID": "a\udc80", "WANDB_NAME": "b\udc80"}
    done = train(odd_values.of_values(ALL), env=odd_names)
    assert (done.status, done.complaints, done.outcome["outcome"]) == (0, [], "patched")
    check_records(by_number(done.data), done, ALL)
    assert {line["run"] for line in done.lines} == {"a\ufffd"}
    for path in done.output.rglob("*.json"):
        msgspec.json.decode(path.read_bytes())


@pytest.mark.exhaustive
def test_on_each_wandb(both, cell):
    if "wandb0.12.0" in cell:
        pytest.skip("wandb 0.12.0 keeps values that it cannot print, and fails at its end")
    kept = {text: value for text, value in ALL.items() if text != "10**5000"}  # 0.12.21 likewise
    check(*both(odd_values.of_values(kept, LATE), python=cell), kept)


@pytest.mark.exhaustive
def test_values_of_libraries(both, wheel):
    if not matrix.is_made(frameworks.CELL):
        pytest.skip("torch, jax and others are there after `make compat`")
    python = matrix.environment(frameworks.CELL, wheel)
    check(*both(odd_values.of_values(LIBRARIES, LATE), python=python), LIBRARIES)


def random_row(choose, depth=3):
    keys = choose.sample(["a", "b.c", "d\\udc80", "é"], choose.randint(1, 3))
    members = ", ".join(f"'{key}': {random_value(choose, depth)}" for key in keys)
    return f"{{{members}}}"


def random_value(choose, depth):
    if depth and choose.random() < 0.5:
        return random_row(choose, depth - 1)
    return choose.choice([*PLAIN, *NUMPY, *RAISING])


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_random_rows(both, seed):
    choose = random.Random(seed)
    rows = dict.fromkeys(random_row(choose) for _ in range(300))
    done, native = both(odd_values.of_values(rows, LATE))
    records, shown = by_number(done.data), by_number(map(flat, done.rows))
    assert by_number(native.rows).keys() <= shown.keys()
    assert records.keys() == set(range(len(rows)))
    for number, row in shown.items():
        for key in records[number].keys() & row.keys():
            assert agree(records[number][key], row[key]), (list(rows)[number], key)


def test_rows(both):
    done, native = both(odd_values.of_rows((row, None) for row in odd_values.ROWS))
    assert len(done.rows) > len(native.rows)
    assert {"a\ufffd": "x"} in done.data
    assert {"b": "c"} in done.data


@pytest.mark.parametrize("row", ["{'a': 1}", "{'a': 'text'}"])
def test_steps(both, row):
    done, _ = both(odd_values.of_rows((row, step) for step in odd_values.STEPS))
    steps = [line["step"] for line in done.lines[:-2]]
    assert {type(step) for step in steps} <= {int, type(None)}
    assert dict(zip(odd_values.STEPS, steps, strict=True)) == odd_values.STEPS


REFUSED = """
    import wandb
    class Text(str):
        __hash__ = str.__hash__
        def __str__(self): raise RuntimeError("no text")
    run = wandb.init(project="p")
    for step, value in ((9, 1), (5, {Text("a"): 1}), (50, {Text("a"): 1})):
        try:
            run.log({"odd": value}, step=step)
            print("taken")
        except RuntimeError as error:
            print(error)
"""


def test_a_late_row_with_a_key_that_cannot_be_printed_is_refused_as_natively(tmp_path):
    done, native = (
        training.run(tmp_path / str(len(env)), REFUSED, env=env) for env in ({}, NATIVE)
    )
    assert done.stdout == native.stdout == "taken\nno text\nno text\n"
