# SPDX-License-Identifier: Apache-2.0
"""The model of wandb drops and merges what the real ones do."""

import json
import random

from support import native_model, training

TRAIN = """
    import json, sys, wandb
    for calls in json.loads(sys.argv[1]):
        run = wandb.init(project="p", reinit=True)
        for data, step, commit in calls:
            run.log(data, step=step, commit=commit)
        run.finish()
"""


def made_up(seed):
    """Calls of one run; every value is unlike the others, and tells which run it is from."""
    dice = random.Random(seed)
    for number in range(30):
        keys = dice.sample("abc", dice.randint(1, 3))
        step = dice.choice([None, dice.randint(number // 2 - 3, number // 2 + 3)])
        data = dict.fromkeys(keys, 1000 * seed + number)
        yield data, step, dice.choice([None, None, True, False])


def test_rows(tmp_path, cell):
    trainings = [list(made_up(seed)) for seed in range(4)]
    native = {**training.QUICK, "PRIMUS_LENS_WANDB_HOOK": "false"}
    done = training.run(tmp_path, TRAIN, json.dumps(trainings), python=cell, env=native)
    assert done.status == 0, done.stderr
    expected = []
    for calls in trainings:
        run = native_model.Run()
        for call in calls:
            run.log(*call)
        run.finish()
        expected += run.rows
        assert run.dropped
    assert sorted(done.rows, key=str_of) == sorted(expected, key=str_of)


def str_of(row):
    return sorted(row.items())
