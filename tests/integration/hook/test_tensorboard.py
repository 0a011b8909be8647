# SPDX-License-Identifier: Apache-2.0
"""TensorBoard's values that wandb syncs: recorded once each, by the keys and steps of W&B."""

import pytest

from support import event_files, matrix, training

PRELUDE = """
    import os, signal, sys, threading, time, tensorboardX, wandb
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer import event_file_writer
    def writer(directory):
        return tensorboardX.SummaryWriter(directory)
    class Plain:  # as torch.utils.tensorboard does
        def __init__(self, directory):
            self.file = event_file_writer.EventFileWriter(directory)
            self.close = self.file.close
        def add_scalar(self, tag, number, step):
            value = summary_pb2.Summary.Value(tag=tag, simple_value=number)
            summary = summary_pb2.Summary(value=[value])
            self.file.add_event(
                event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
            )
"""
OLD = [
    each._replace(beside="tensorboard", pins=(*each.pins, "tensorboard", "tensorboardX"))
    for each in matrix.MATRIX
    if each.wandb in ("0.12.0", "0.12.21", "0.15.12", "0.19.11")
]


@pytest.fixture
def train(tmp_path):
    return lambda code, **how: trained(training.run(tmp_path, PRELUDE + code, **how))


def trained(done):
    assert done.status == 0, done.stderr
    assert done.complaints == []
    return done


SEVERAL = """
    wandb.init(project="p", sync_tensorboard=True)
    first, second, deep = writer("logs/train"), Plain("logs/val"), writer("logs/x/y")
    for i in range(5):
        for each in (first, second, deep):
            each.add_scalar("loss", i / 3, i)
        first.add_scalar("lr/a.b", 1, i)
    [each.close() for each in (first, second, deep)]
    wandb.finish()
"""


def check_several(done):
    assert event_files.recorded(done) == event_files.synced(done)
    assert len(event_files.recorded(done)) == 20
    assert not any(line.get("late") for line in done.lines)


def test_several_directories(train):
    check_several(train(SEVERAL))


@pytest.mark.exhaustive
@pytest.mark.parametrize("cell", [pytest.param(each, id=each.name) for each in OLD])
def test_several_directories_of_older_wandbs(train, cell, wheel):
    if matrix.interpreter(cell.python) is None:
        pytest.skip(f"no Python {cell.python} on this machine")
    check_several(train(SEVERAL, python=matrix.environment(cell, wheel)))
