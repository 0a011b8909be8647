# SPDX-License-Identifier: Apache-2.0
"""What we take for a key's axis is what the real wandb fills in beside it."""

import json

import pytest
from primus_lens_hook.step_fix.metric_definitions import MetricDefinitions, paths

from support import training, wandb_file

ROW = {"eval/acc": 1.5, "loss": 2.5, "deep": {"inner": 3.5}}
# Each a list of (name, arguments) of define_metric.
CASES = {
    "exact": [("eval/acc", {"step_metric": "epoch"})],
    "pattern": [("eval/*", {"step_metric": "epoch"})],
    "all": [("*", {"step_metric": "epoch"})],
    "not synced": [("*", {"step_metric": "epoch", "step_sync": False})],
    "exact wins": [("eval/*", {"step_metric": "epoch"}), ("eval/acc", {"step_metric": "batch"})],
    "exact without an axis": [("eval/*", {"step_metric": "epoch"}),
                              ("eval/acc", {"summary": "max"})],
    "merged": [("eval/acc", {"step_metric": "epoch"}), ("eval/acc", {"summary": "max"})],
    "overwritten": [("eval/acc", {"step_metric": "epoch"}),
                    ("eval/acc", {"summary": "max", "overwrite": True})],
    "two axes": [("eval/acc", {"step_metric": "epoch"}), ("loss", {"step_metric": "batch"})],
    "nested": [("deep.inner", {"step_metric": "epoch"})],
    "once for good": [("eval/*", {"step_metric": "epoch"}), None,
                      ("eval/*", {"step_metric": "batch"})],
}  # fmt: skip
TRAIN = """
    import json, sys, wandb
    cases, row = json.loads(sys.argv[1])
    for name, definitions in cases.items():
        run = wandb.init(project="p", name=name, reinit=True)
        run.define_metric("epoch"), run.define_metric("batch")
        for each in definitions:
            run.log(row) if each is None else run.define_metric(each[0], **each[1])
        run.log({"epoch": 5, "batch": 7})
        run.log(row)
        run.finish()
"""


@pytest.fixture(scope="module")
def filled_in(tmp_path_factory):
    """By case, the axes in the last row of a run without the hook."""
    done = training.run(
        tmp_path_factory.mktemp("definitions"),
        TRAIN,
        json.dumps([CASES, ROW]),
        env={"PRIMUS_LENS_WANDB_HOOK": "false"},
    )
    assert done.status == 0, done.stderr
    names = [next(r.run.display_name for r in run if r.HasField("run")) for run in done.wandb]
    last = [wandb_file.rows(run)[-1] for run in done.wandb]
    return {n: {"epoch", "batch"} & set(row) for n, row in zip(names, last, strict=True)}


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES)
def test_synced_axes(filled_in, case):
    definitions = MetricDefinitions()
    for each in CASES[case]:
        if each is None:
            definitions.expand(tuple(ROW), paths(ROW))
        else:
            definitions.define(each[0], **each[1])
    assert set(definitions.synced_axes(ROW)) == filled_in[case]


def test_keys_of_ours_make_way_for_the_users():
    definitions = MetricDefinitions()
    assert definitions.to_plot({"eval/acc": 1, "f1*100": 2, "_wandb": 3, "": 4}) == ["eval/acc"]
    assert definitions.to_plot({"eval/acc": 1}) == []
    assert definitions.define("eval/*", "epoch") == ["eval/acc"]
    assert definitions.define("eval/acc", "epoch") == ["eval/acc"]
    assert definitions.define("eval/acc", "epoch") == []


REDEFINED = """
    import sys, wandb
    how = eval(sys.argv[1])
    run = wandb.init(project="p")
    run.define_metric("eval/*", step_metric="epoch")
    run.log({"loss": 1, "epoch": 3}, step=1)
    run.log({"late": 1}, step=0)  # from here on rows wait
    run.log({"loss": 2}, step=9)
    run.log({"eval/acc": 1}, step=how["late"])
    run.define_metric(how["name"], **how["definition"])
    run.log({"eval/acc": 2}, step=12)
    run.finish()
"""
REDEFINITIONS = [
    ("eval/acc", {"summary": "min"}),
    ("eval/acc", {"step_metric": "batch"}),
    ("eval/*", {"step_metric": "batch", "overwrite": True}),
]


@pytest.mark.parametrize("late", [7, 1])  # at a step of its own, and at one that is taken
@pytest.mark.parametrize(("name", "definition"), REDEFINITIONS)
def test_a_value_that_wandb_would_drop_binds_no_key_to_a_pattern(tmp_path, late, name, definition):
    rows = {}
    for hook in ("true", "false"):
        how = repr({"late": late, "name": name, "definition": definition})
        env = {"PRIMUS_LENS_WANDB_HOOK": hook}
        done = training.run(tmp_path / hook, REDEFINED, how, env=env)
        assert done.status == 0, done.stderr
        rows[hook] = next(row for row in done.rows if row.get("eval/acc") == 2)
    assert {"epoch", "batch"} & set(rows["true"]) == {"epoch", "batch"} & set(rows["false"])
