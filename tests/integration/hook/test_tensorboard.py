# SPDX-License-Identifier: Apache-2.0
"""TensorBoard's values that wandb syncs: recorded once each, by the keys and steps of W&B."""

import signal
import textwrap

import pytest

from support import event_files, matrix, training

PRELUDE = """
    import os, signal, sys, threading, time, numpy, tensorboardX, wandb
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer import event_file_writer
    from tensorboard.util import tensor_util
    def writer(directory):
        return tensorboardX.SummaryWriter(directory)
    class Plain:  # as torch.utils.tensorboard does
        def __init__(self, directory):
            self.file = event_file_writer.EventFileWriter(directory)
            self.close = self.file.close
        def add_scalar(self, tag, number, step):
            self.add(summary_pb2.Summary.Value(tag=tag, simple_value=number), step)
        def add_tensor(self, tag, array, step):
            kind = summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars")
            metadata = summary_pb2.SummaryMetadata(plugin_data=kind)
            tensor = tensor_util.make_tensor_proto(array)
            self.add(summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata), step)
        def add(self, value, step):
            summary = summary_pb2.Summary(value=[value])
            event = event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
            self.file.add_event(event)
"""
OLD = [
    each._replace(beside="tensorboard", pins=(*each.pins, "tensorboard", "tensorboardX"))
    for each in matrix.MATRIX
    if each.wandb in ("0.12.0", "0.12.21", "0.15.12", "0.19.11")
]


def first_everyday(cases):
    """The first of the cases; the others with `make test-all`."""
    first, *others = cases
    return [first, *(pytest.param(each, marks=pytest.mark.exhaustive) for each in others)]


@pytest.fixture
def train(tmp_path):
    return lambda code, **how: trained(training.run(tmp_path, PRELUDE + code, **how))


@pytest.fixture(params=[pytest.param(each, id=each.name) for each in OLD])
def old(request, wheel):
    """The path of a Python with an older wandb and TensorBoard's packages."""
    if matrix.interpreter(request.param.python) is None:
        pytest.skip(f"no Python {request.param.python} on this machine")
    return matrix.environment(request.param, wheel)


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
def test_several_directories_of_older_wandbs(train, old):
    check_several(train(SEVERAL, python=old))


PATCHES = [
    "wandb.tensorboard.patch(root_logdir=os.path.abspath('logs/x'))",
    "wandb.tensorboard.patch(root_logdir='logs')",
    "wandb.tensorboard.patch(root_logdir='elsewhere')",
    "wandb.tensorboard.patch(pytorch=True)",
    "wandb.tensorboard.patch(tensorboard_x=True, save=False)",
]


@pytest.mark.parametrize("how", first_everyday(PATCHES))
def test_patched_by_hand(train, how):
    check_several(train(SEVERAL.replace(", sync_tensorboard=True)", f")\n    {how}", 1)))


SYNCED = {
    "two runs": """
        for name in "one", "two":
            wandb.init(project="p", id=name, sync_tensorboard=True)
            first, second = writer(f"logs/{name}/a"), writer(f"logs/{name}/b")
            first.add_scalar("loss", 1, 1); second.add_scalar("loss", 2, 2)
            first.close(); second.close()
            wandb.finish()
    """,
    "a directory that wandb knows, after unpatch": """
        wandb.init(project="p", sync_tensorboard=True)
        first, second = writer("logs/a"), writer("logs/b")
        first.add_scalar("loss", 1, 1)
        first.close()
        wandb.tensorboard.unpatch()
        time.sleep(1.1)  # files are named by their second
        first = Plain(os.path.abspath("logs/a"))
        first.add_scalar("loss", 2, 2)
        first.close()
        wandb.finish()
    """,
    "a directory of tensorboardX's own choice": """
        wandb.init(project="p", sync_tensorboard=True)
        chosen = tensorboardX.SummaryWriter()
        chosen.add_scalar("loss", 1, 1)
        chosen.close()
        wandb.finish()
    """,
    "numbers in tensors": """
        wandb.init(project="p", sync_tensorboard=True)
        first, second = Plain("logs/a"), Plain("logs/b")
        for dtype in "float32", "float64", "int32", "int64":
            first.add_tensor(dtype, numpy.array(7, dtype), 1)
            first.add_tensor("two of " + dtype, numpy.array([7, 8], dtype), 1)
        [each.close() for each in (first, second)]
        wandb.finish()
    """,
}


def check_synced(train, how, **where):
    done = train(textwrap.indent(textwrap.dedent(SYNCED[how]), " " * 4), **where)
    assert event_files.recorded(done) == event_files.synced(done) != []


@pytest.mark.parametrize("how", first_everyday(SYNCED))
def test_what_wandb_syncs_is_recorded(train, how):
    check_synced(train, how)


@pytest.mark.exhaustive
def test_two_runs_of_older_wandbs(train, old):
    check_synced(train, "two runs", python=old)


def test_events_that_the_training_itself_gives_to_wandb(train):
    """Up to 0.17 that is `wandb.tensorboard.log`; it ends in `Run._log`."""
    done = train("""
    from wandb.integration.tensorboard.log import _log
    wandb.init(project="p")
    for i in range(3):
        value = summary_pb2.Summary.Value(tag="loss", simple_value=i)
        summary = summary_pb2.Summary(value=[value])
        event = event_pb2.Event(wall_time=time.time(), step=10 * i, summary=summary)
        _log(event, step=event.step)
    wandb.finish()
    """)
    losses = [(line["step"], line["data"]["loss"]) for line in done.lines if "loss" in line["data"]]
    assert losses == [(0, 0), (10, 1), (20, 2)]


def test_two_writers_of_a_directory(train):
    """wandb-core reads it twice then; the records have it once."""
    done = train("""
    wandb.init(project="p", sync_tensorboard=True)
    for i in range(2):
        each = tensorboardX.SummaryWriter("logs", filename_suffix=str(i))
        each.add_scalar("loss", i, i)
        each.close()
    wandb.finish()
    """)
    values = event_files.values(done.directory / "logs")
    assert event_files.recorded(done) == values == [("loss", 0, 0), ("loss", 1, 1)]
    assert set(event_files.synced(done)) == set(values)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seconds", [0, 11])
def test_a_second_directory_names_the_first(train, seconds):
    """Within ten seconds; what has been recorded by then has no prefix."""
    done = train(f"""
    wandb.init(project="p", sync_tensorboard=True)
    first = writer("logs/a")
    first.add_scalar("early", 1, 1)
    time.sleep({seconds})
    second = writer("logs/b")
    first.add_scalar("loss", 2, 2)
    second.add_scalar("loss", 2, 2)
    first.close(), second.close()
    wandb.finish()
    """)
    of_first = "loss" if seconds else "a/loss"
    assert [key for key, *_ in event_files.recorded(done)] == sorted([of_first, "b/loss", "early"])
    early = "early" if seconds else "a/early"
    assert [key for key, *_ in event_files.synced(done)] == sorted([of_first, "b/loss", early])


WITHOUT_SYNC = {
    "made before": 'before = writer("logs"); wandb.init(project="p", sync_tensorboard=True)',
    "never": 'wandb.init(project="p"); before = writer("logs")',
    "unpatched": """wandb.init(project="p", sync_tensorboard=True)
    writer("other").close(); writer("another").close()  # no wait for a second directory
    wandb.tensorboard.unpatch(); before = writer("logs")""",
    "finished": """wandb.init(project="p", sync_tensorboard=True)
    writer("other").close(); before = writer("logs"); wandb.finish()""",
}


def check_not_synced(train, how, **where):
    code = f"""
    {WITHOUT_SYNC[how]}
    before.add_scalar("loss", 1, 1)
    before.close()
    wandb.finish()
    """
    done = train(code, **where)
    assert event_files.recorded(done) == event_files.synced(done) == []
    assert event_files.values(done.directory / "logs") == [("loss", 1, 1.0)]


@pytest.mark.parametrize("how", first_everyday(WITHOUT_SYNC))
def test_what_wandb_does_not_sync_is_not_recorded(train, how):
    check_not_synced(train, how)


@pytest.mark.exhaustive
def test_after_the_end_of_a_run_of_older_wandbs(train, old):
    check_not_synced(train, "finished", python=old)


def test_a_call_that_returned_is_on_disk(tmp_path):
    code = """
    wandb.init(project="p", sync_tensorboard=True)
    x, plain = writer("logs/x"), Plain("logs/plain")
    for i in range(50):
        x.add_scalar("loss", i, i)
        plain.add_scalar("loss", i, i)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = training.run(tmp_path, PRELUDE + code)
    assert done.status == -signal.SIGKILL
    numbers = [(f"{name}/loss", i, i) for name in ("plain", "x") for i in range(50)]
    assert event_files.recorded(done) == numbers


BOTH = """
    run = wandb.init(project="p", sync_tensorboard=True)
    tb, other = writer("logs/a"), writer("logs/b")
    for i in range(3):
        tb.add_scalar("loss", i, 100 * i)
        wandb.log({"mine": i}%s)
    tb.close()
    wandb.finish()
"""


def steps(done):
    """The step of each record, and whether it moves the training step."""
    return [(next(iter(line["data"])), line["step"], not line.get("late")) for line in done.lines]


def test_log_calls_without_a_step_are_at_tensorboards(train):
    assert steps(train(BOTH % "")) == [
        (key, 100 * i, True) for i in range(3) for key in ("a/loss", "mine")
    ]


def test_log_calls_with_a_step_make_tensorboards_another_counter(train):
    first, *rest = steps(train(BOTH % ", step=i"))
    assert first == ("a/loss", 0, True)
    assert rest == [
        ("mine", 0, True), ("a/loss", 100, False), ("mine", 1, True), ("a/loss", 200, False),
        ("mine", 2, True),
    ]  # fmt: skip


def test_a_tag_behind_the_others_is_late(train):
    done = train("""
    wandb.init(project="p", sync_tensorboard=True)
    tb, other = writer("logs/a"), writer("logs/b")
    for tag, step in (("loss", 10), ("eval", 8), ("loss", 11), ("none", None)):
        tb.add_scalar(tag, 1, step)
    """)
    expected = [("loss", 10, True), ("eval", 8, False), ("loss", 11, True), ("none", 0, False)]
    assert steps(done) == [("a/" + tag, *step) for tag, *step in expected]


def test_what_a_writer_refuses_is_its_own(train):
    code = """
    wandb.init(project="p", sync_tensorboard=True)
    plain, x = Plain("logs/plain"), writer("logs/x")
    def attempt(call, *arguments):
        try:
            print(call(*arguments))
        except Exception as error:
            print(repr(error))
    attempt(plain.file.add_event, "no event")
    attempt(plain.file.add_event)
    attempt(lambda: plain.file.add_event(event=event_pb2.Event(step=1)))
    attempt(plain.add_scalar, "loss", float("nan"), 3)
    attempt(event_file_writer.EventFileWriter)
    of_x = x.file_writer.event_writer
    plain.close(), x.close()
    attempt(plain.add_scalar, "loss", 1, 4)
    attempt(of_x.add_event, event_pb2.Event(step=1))
    print(event_file_writer.EventFileWriter.__mro__)
    """
    hooked, native = train(code), train(code, env={"PRIMUS_LENS_WANDB_HOOK": "off"})
    assert hooked.stdout == native.stdout
    assert "Writer is closed" in hooked.stdout
    assert hooked.data == [{"plain/loss": "NaN"}]


def test_threads(train):
    done = train("""
    wandb.init(project="p", sync_tensorboard=True)
    x, plain = writer("logs/x"), Plain("logs/plain")
    def work(who):
        for i in range(50):
            x.add_scalar(who, i, i)
            plain.add_scalar(who, i, i)
    threads = [threading.Thread(target=work, args=(f"of {who}",)) for who in range(4)]
    [each.start() for each in threads]; [each.join() for each in threads]
    x.close(), plain.close()
    wandb.finish()
    """)
    assert len(event_files.recorded(done)) == 400
    assert event_files.recorded(done) == event_files.synced(done)


def test_media_are_counted_and_texts_are_not_synced(train):
    done = train("""
    wandb.init(project="p", sync_tensorboard=True)
    tb, other = writer("logs/a"), writer("logs/b")
    tb.add_histogram("h", [1.0, 2.0], 1)
    tb.add_text("t", "hello", 1)
    tb.add_hparams({"lr": 1}, {"acc": 0.5}, name="h")
    tb.close()
    wandb.finish()
    """)
    assert done.data == [{"a/h": {"_type": "histogram"}}, {"a/h/acc": 0.5}]


@pytest.mark.parametrize(
    "off", first_everyday(["PRIMUS_LENS_WANDB_SAVE_LOCAL", "PRIMUS_LENS_WANDB_HOOK"])
)
def test_switched_off_the_writers_stay_as_they_are(train, off):
    done = train(
        SEVERAL + "    print(vars(event_file_writer.orig_EventFileWriter))\n", env={off: "0"}
    )
    assert "primus" not in done.stdout
    assert len(event_files.synced(done)) == 20


def test_a_fault_of_ours_ends_the_records_of_tensorboard_alone(tmp_path):
    fault = """
    from primus_lens_hook.tensorboard import sync
    sync.SyncedRun = None
    """
    after = """    wandb.init(project="p"); wandb.log({"i": 1})\n"""
    done = training.run(tmp_path, PRELUDE + fault + SEVERAL + after)
    assert done.status == 0
    assert len(done.complaints) == 1
    assert "TensorBoard" in done.complaints[0]
    assert done.data == [{"i": 1}]
    assert len(event_files.synced(done)) == 20
