# SPDX-License-Identifier: Apache-2.0
"""`places` finds each value that is drawn elsewhere than it should, and no other."""

import types

import pytest

from support import places, training

HF = "train/global_step"

TRAIN = f"""
    import json, wandb
    run = wandb.init(project="p")
    run.define_metric("{HF}")
    run.define_metric("*", step_metric="{HF}", step_sync=True)
    calls = [
        [{{"late": 100}}, 0], [{{"free": 101}}, None], [{{"loss": 102, "{HF}": 7}}, None],
        [{{"free": 103}}, None], [{{"late": 104}}, 1], [{{"late": 105, "{HF}": 9}}, 2],
        [{{"free": 106}}, None], [{{"media": {{"_type": "a"}}}}, None],
    ]
    for data, step in calls:
        run.log(data, step=step)
    run.finish()
    calls[-1][0].clear()
    with open("sent.json", "w") as file:
        json.dump(calls, file)
"""
DROPPED = [{"late": 104, "primus_lens/step": 1, HF: 7}, {"late": 105, "primus_lens/step": 2, HF: 9}]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    off = {"PRIMUS_LENS_WANDB_HOOK": "false"}
    return training.run(tmp_path_factory.mktemp("alone"), TRAIN, env=off)


def moved(alone, rows):
    wrong, compared = places.moved(alone, types.SimpleNamespace(rows=rows))
    return {(key, value) for key, value, _, _ in wrong}, compared


def test_nothing_has_moved(alone):
    assert moved(alone, [*alone.rows, *DROPPED]) == (set(), 8)
    assert moved(alone, alone.rows) == (set(), 6)  # two are lost


@pytest.mark.parametrize("column", [HF, "primus_lens/step"])
def test_what_wandb_drops_is_held_to_its_call(alone, column):
    wrong = [{**DROPPED[0], column: 0}, DROPPED[1]]
    assert moved(alone, [*alone.rows, *wrong]) == ({("late", 104)}, 8)


def test_what_wandb_keeps_is_held_to_its_row(alone):
    rows = [{**row, HF: 3} if row.get("free") in (101, 106) else row for row in alone.rows]
    assert moved(alone, rows)[0] >= {("free", 101), ("free", 106)}
    no_media = [row for row in alone.rows if "media._type" not in row]
    assert moved(alone, no_media) == ({("media._type", "no. 1")}, 6)


def test_a_call_without_a_step_belongs_to_the_newest_step_shown():
    axes = places.Axes([])
    calls = [[{"a": 0}, None], [{"a": 1}, 5], [{"a": 2}, 3], [{"a": 3}, None], [{HF: 4}, None]]
    assert [step for _, step, _ in places.calls_replayed(calls, axes)] == [0, 5, 3, 5, 4]
