# SPDX-License-Identifier: Apache-2.0
"""The training step in the records of real trainings."""

import pytest

TRAIN = """
    import wandb
    wandb.init(project="p")
    for step in range(1, 4):
        wandb.log({"reward": step})
        wandb.log({"loss": step, "train/global_step": step})
        wandb.log({"callback": step}, step=step - 1)
    wandb.finish()
"""


@pytest.mark.parametrize("step_fix", ["true", "false"])
def test_the_records_say_it(train, step_fix):
    done = train(TRAIN, env={"WANDB_STEP_FIX_ENABLED": step_fix})
    told = [(line["step"], line.get("late", False)) for line in done.lines]
    rewards, losses, callbacks = told[0::3], told[1::3], told[2::3]
    assert rewards == [(0, False), (1, False), (2, False)]
    assert losses == [(1, False), (2, False), (3, False)]
    assert callbacks == [(0, True), (1, True), (2, True)]


def test_disabled_runs_have_it_too(train):
    done = train(TRAIN, env={"WANDB_MODE": "disabled"})
    assert [line["step"] for line in done.lines] == [None, 1, 0, 1, 2, 1, 2, 3, 2]
