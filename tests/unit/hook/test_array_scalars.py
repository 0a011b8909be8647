# SPDX-License-Identifier: Apache-2.0
"""The number in a GPU's tensor: to read it waits for the GPU, and copies it to the host."""

import pytest
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.settings import Settings

from support.repaired import repaired


class Tensor:
    """As torch has it, of no dimensions."""

    shape = ()
    read = 0
    number = 1.5

    def item(self):
        self.read += 1
        return self.number


Tensor.__module__ = "torch"


@pytest.mark.parametrize("steps", [(0, 1, 2), (0, 2, 1, 3)], ids=["in order", "a late one"])
def test_a_number_is_read_once_for_the_record_and_the_summary(tmp_path, steps):
    make, _ = repaired(Recorder(Settings(output_path=str(tmp_path))))
    run, tensors = make(), [Tensor() for _ in steps]
    for step, tensor in zip(steps, tensors, strict=True):
        run.log({"loss": tensor, "lr": 0.1}, step=step)
    assert {tensor.read for tensor in tensors} == {1}
    assert run.rows[0]["loss"] is tensors[0]  # wandb has what was logged
    (file,) = tmp_path.rglob("*.jsonl")
    assert file.read_text().count('"loss":1.5,') == len(steps)


def test_a_duplicate_that_is_kept_has_the_number_of_its_call():
    make, step_fix = repaired(keep_duplicates=True)
    run, tensor = make(), Tensor()
    run.log({"a": tensor}, step=1)
    tensor.number = 2.5  # as training code does, in place
    run.log({"a": tensor.item()}, step=1)
    step_fix.flush()
    run.finish()
    assert sorted(row["a"] for row in run.rows) == [1.5, 2.5]


def test_where_nobody_asks_for_a_number_it_is_not_read():
    make, step_fix = repaired()
    step_fix.disable()
    tensor = Tensor()
    make().log({"loss": tensor, "lr": 0.1}, step=1)
    assert tensor.read == 0
