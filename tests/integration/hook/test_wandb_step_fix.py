# SPDX-License-Identifier: Apache-2.0
"""The step fix under the name its users know: their snippets, as they stand in their code."""

import pytest

from support.repository import ROOT

AXIS = "primus_lens/step"
USUAL = """
    import atexit, logging, os
    logging.basicConfig(filename="log", level=logging.DEBUG)
    from wandb_step_fix import (
        get_step_manager, safe_wandb_log, update_training_step, patch_wandb_log,
        finalize_wandb_logging,
    )
    patch_wandb_log()
    atexit.register(finalize_wandb_logging)
    import wandb
    wandb.init(project="p")
    patch_wandb_log()
    for step in range(10):
        update_training_step(step, source="trainer")
        safe_wandb_log({"loss": step, "lr": 0.1}, step=step, source="trainer", priority=0)
        safe_wandb_log({"loss": -1, "debug": step}, step=step, source="debug", priority=10)
        safe_wandb_log({"eval": step}, source="evaluation", priority=1)
        if step:
            wandb.log({"late": step}, step=step - 1)
    print(get_step_manager().get_stats())
"""


@pytest.fixture(params=["hook", "hook switched off", "by PYTHONPATH"])
def done(request, train):
    bootstrap = str(ROOT / "hook" / "primus_lens_hook" / "bootstrap")
    env = {
        "hook switched off": {"PRIMUS_LENS_WANDB_HOOK": "false"},
        "by PYTHONPATH": {"PYTHONPATH": bootstrap},
    }
    return train(USUAL, env=env.get(request.param))


@pytest.mark.exhaustive
def test_the_usual_snippets(done):
    assert (done.status, done.complaints) == (0, [])
    assert "'total_logs': 39, 'dropped_logs': 0, 'step_conflicts': 9" in done.stdout
    rows = {row[AXIS]: row for row in done.rows if "loss" in row}
    assert {step: row["loss"] for step, row in rows.items()} == {i: i for i in range(10)}
    for key in "debug", "eval":
        assert {row[AXIS]: row[key] for row in done.rows if key in row} == {i: i for i in range(10)}
    assert {row[AXIS] for row in done.rows if "late" in row} == set(range(9))
    assert "step 0 is behind 1" in (done.directory / "log").read_text()


def test_unpatching_leaves_it_to_wandb_and_patching_takes_it_back(train):
    done = train("""
        import wandb, wandb_step_fix
        run = wandb.init(project="p")
        run.log({"a": 1}, step=5); run.log({"b": 1}, step=3)
        wandb_step_fix.unpatch_wandb_log()
        run.log({"dropped": 1}, step=2); run.log({"c": 1}, step=20)
        wandb_step_fix.patch_wandb_log()
        run.log({"d": 1}, step=4)
    """)
    assert [set(row) & set("abcd") for row in done.rows] == [{"a"}, {"b"}, {"c"}, {"d"}]
    assert not any("dropped" in row for row in done.rows)


def test_the_operators_switch_wins(train):
    done = train(USUAL, env={"WANDB_STEP_FIX_ENABLED": "false"})
    assert (done.status, done.complaints) == (0, [])
    assert "'total_logs': 0" in done.stdout
    assert not any(AXIS in row or "late" in row for row in done.rows)


def test_bounds_and_bad_input(train):
    done = train("""
        import logging; logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
        import wandb, wandb_step_fix as fix
        fix.safe_wandb_log({"before": "init"})
        manager = fix.WandBStepManager(buffer_size=2, flush_interval=0.5)
        assert fix.get_step_manager() is manager
        try:
            fix.WandBStepManager(buffer_size=-1)
        except ValueError as error:
            print(error)
        wandb.init(project="p")
        fix.safe_wandb_log({1: 2}, source="mine")
        fix.safe_wandb_log("text", source="mine")
        fix.update_training_step("x", source="mine")
        manager.update_step(7)
        fix.safe_wandb_log({"told": 1})
    """)
    assert done.status == 0, done.stderr
    assert done.stdout == "buffer_size and flush_interval must not be negative\n"
    warnings = [line for line in done.stderr.splitlines() if line.startswith("wandb_step_fix")]
    assert len(warnings) == 3
    assert all("WARNING mine" in line for line in warnings)
    assert [row["_step"] for row in done.rows if "told" in row] == [7]


@pytest.mark.parametrize("env", [{}, {"PYTHONPATH": "bootstrap"}], ids=["hook", "by PYTHONPATH"])
def test_the_users_own_module_wins(train, tmp_path, env):
    (tmp_path / "wandb_step_fix.py").write_text("print('mine')")
    bootstrap = str(ROOT / "hook" / "primus_lens_hook" / "bootstrap")
    done = train("import wandb_step_fix", env=dict.fromkeys(env, bootstrap))
    assert (done.status, done.stdout) == (0, "mine\n")
