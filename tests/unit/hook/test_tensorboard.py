# SPDX-License-Identifier: Apache-2.0
"""What is read out of TensorBoard's messages, and the prefixes of its directories."""

import importlib

import pytest
from primus_lens_hook.tensorboard import namespaces, sync
from primus_lens_hook.tensorboard.events import values_of

PACKAGES = ["tensorboard.compat.proto", "tensorboardX.proto"]


@pytest.fixture(params=PACKAGES)
def event(request):
    """Makes an event of some values, with the classes of each package."""
    event_pb2, summary_pb2 = (
        importlib.import_module(f"{request.param}.{name}") for name in ("event_pb2", "summary_pb2")
    )
    summary = summary_pb2.Summary
    return lambda *values: event_pb2.Event(
        summary=summary(value=[summary.Value(**v) for v in values])
    )


def scalars(**tensor):
    return {"metadata": {"plugin_data": {"plugin_name": "scalars"}}, "tensor": tensor}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ({"simple_value": 0.5}, 0.5),
        ({"simple_value": 0.1}, 0.10000000149011612),
        (scalars(dtype="DT_FLOAT", float_val=[2.5]), 2.5),
        (scalars(dtype="DT_DOUBLE", double_val=[0.1]), 0.1),
        (scalars(dtype="DT_INT32", int_val=[3]), 3),
        (scalars(dtype="DT_INT64", int64_val=[-4]), -4),
        (scalars(dtype="DT_FLOAT", tensor_content=b"\0\0\x80\x3f"), 1.0),
        (scalars(dtype="DT_FLOAT", tensor_content=b"\0\0\x80\x3f" * 2), None),
        (scalars(dtype="DT_FLOAT", float_val=[1, 2]), None),
        (scalars(dtype="DT_FLOAT"), None),
        (scalars(dtype="DT_STRING", string_val=[b"text"]), None),
        ({"tensor": {"dtype": "DT_FLOAT", "float_val": [1]}}, None),
        ({"audio": {}}, None),
        ({}, None),
    ],
)
def test_scalars(event, value, number):
    assert values_of(event({"tag": "t", **value}), {}).get("t") == number


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"histo": {}}, "histogram"),
        ({"image": {}}, "images/separated"),
        ({**scalars(), "metadata": {"plugin_data": {"plugin_name": "pr_curves"}}}, "table-file"),
    ],
)
def test_media(event, value, kind):
    assert values_of(event({"tag": "t", **value}), {})["t"]._log_type == kind


def test_the_plugin_of_a_tag_is_remembered(event):
    plugins, later = {}, {"tensor": {"dtype": "DT_FLOAT", "float_val": [2]}}
    values_of(event({"tag": "t", **scalars(dtype="DT_FLOAT", float_val=[1])}), plugins)
    assert values_of(event({"tag": "t", **later}), plugins) == {"t": 2.0}


@pytest.mark.parametrize(
    ("directories", "root", "keys"),
    [
        (["/l/a", "/l/b"], "", ["a/t", "b/t"]),
        (["/l", "/l/a"], "", ["t", "a/t"]),
        (["/l", "/l"], "", ["t", "t"]),
        (["/l/a", "/l/b", "/elsewhere"], "", ["a/t", "b/t", "t"]),
        (["/one", "/other/x"], "", ["one/t", "other/x/t"]),
        (["/l/a", "/m"], "/l", ["a/t", "t"]),
        (["s3://l/a", "s3://l/b"], "", ["a/t", "b/t"]),
    ],
)
def test_prefixes_of_wandb_core(directories, root, keys):
    run = namespaces.CoreNamespaces()
    added = [run.add(path, root) for path in directories]
    assert [each.key("t") for each in added] == keys


@pytest.mark.parametrize(
    ("directories", "root", "keys"),
    [
        (["l/some"], "", ["loss"]),
        (["logs/train", "logs/val"], "", ["train/loss", "val/loss"]),
        (["l/train", "l/val"], "", ["train/loss", "va/loss"]),  # each "l" goes, as in wandb
        (["l/a", "l/b"], "", ["loss", "b/loss"]),
        (["l/x", "l/x/loss/a"], "l/x", ["loss", "loss/a"]),
        (["l/a", "l/a"], "l", ["a/loss", "a/loss"]),
    ],
)
def test_prefixes_of_the_service_before_it(directories, root, keys):
    run = namespaces.OldNamespaces()
    added = [run.add(path, root) for path in directories]
    assert [each.key("loss") for each in added] == keys


class Recorder:
    is_on = True


@pytest.mark.parametrize("attributes", [{}, {"_tensorboard_callback": None}])
def test_a_wandb_that_tells_of_no_directories_is_left_alone(attributes):
    run_class = type("Run", (), attributes)
    before = dict(vars(run_class))
    sync.record_synced(run_class, Recorder(), lambda _run: None)
    assert dict(vars(run_class)) == before


def test_what_a_future_wandb_tells_passes_through(monkeypatch):
    def tell(self, *args, **kwargs):
        return args, kwargs

    run_class = type("Run", (), {"_tensorboard_callback": tell})
    sync.record_synced(run_class, Recorder(), lambda _run: None)
    for how in (((), {"more": 1}), (("l", True, "", 5), {}), ((b"l",), {}), ((), {})):
        assert run_class()._tensorboard_callback(*how[0], **how[1]) == how
