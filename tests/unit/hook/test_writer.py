# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import resource
import signal
import subprocess
import sys

import pytest
from primus_lens_hook import identity
from primus_lens_hook.recording import append_file, journal, jsonfile, own_file, runs, writer
from primus_lens_hook.recording.retention import MOST_FILES
from primus_lens_hook.recording.runs import Runs
from primus_lens_hook.recording.writer import Writer

from support import short_job
from support.interrupted import at_each

MAX = 64 * 1024


def line(i, size=100):
    return str(i).encode().ljust(size - 1) + b"\n"


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def numbers(directory):
    """The lines of all segments, oldest first."""
    paths = sorted(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [int(text) for path in paths for text in path.read_text().splitlines()]


def test_rotation_keeps_the_newest_within_the_limit(tmp_path):
    writer = Writer([str(tmp_path)], MAX)
    for i in range(5000):
        assert writer.write(line(i))
    kept = numbers(tmp_path)
    assert kept == list(range(5000 - len(kept), 5000))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert MAX * 0.7 < total <= MAX
    assert len(names(tmp_path)) == 4


def test_a_line_longer_than_a_segment_gets_its_own(tmp_path):
    writer = Writer([str(tmp_path)], MAX)
    for i in range(3):
        assert writer.write(line(i, MAX))
    assert numbers(tmp_path)[-1] == 2


def test_a_second_process_gets_its_own_file(tmp_path):
    Writer([str(tmp_path)], MAX).write(line(1))
    first = Writer([str(tmp_path)], MAX)
    first.write(line(1))
    program = "import sys; from primus_lens_hook.recording.writer import Writer as W; "
    program += f"w = W([{str(tmp_path)!r}], {MAX}); w.write(b'2\\n'); print(w.owner)"
    owner = subprocess.check_output([sys.executable, "-c", program], text=True).strip()
    assert owner.startswith(".p")
    assert f"wandb_metrics{owner}.jsonl" in names(tmp_path)


def test_the_next_process_goes_on_with_the_file(tmp_path):
    for i in range(3):
        program = "from primus_lens_hook.recording.writer import Writer as W; "
        program += f"W([{str(tmp_path)!r}], {MAX}).write(b'{i}\\n')"
        subprocess.run([sys.executable, "-c", program], check=True)
    assert names(tmp_path) == ["wandb_metrics.jsonl"]
    assert numbers(tmp_path) == [0, 1, 2]


def test_files_of_dead_processes_are_pruned_too(tmp_path):
    for pid in range(10):
        (tmp_path / f"wandb_metrics.p{pid}.jsonl").write_bytes(b"x" * MAX)
    Writer([str(tmp_path)], MAX).write(line(1))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MAX


def test_files_of_many_processes_are_pruned(tmp_path):
    for pid in range(600):
        (tmp_path / f"wandb_metrics.p{pid}.jsonl").write_bytes(b"{}\n")
        (tmp_path / f"wandb_runs.p{pid}.json").write_bytes(b"{}")
        (tmp_path / f"checkpoint{pid}").touch()
    Writer([str(tmp_path)], MAX).write(line(1))
    left = names(tmp_path)
    assert len([name for name in left if name.startswith("wandb_")]) <= MOST_FILES + 1
    owners = {name.split(".")[1] for name in left if name.startswith("wandb_runs")}
    assert owners == {name.split(".")[1] for name in left if ".p" in name}
    assert len(left) - 600 == len([name for name in left if name.startswith("wandb_")])


def test_what_a_killed_process_has_not_completed_is_deleted(tmp_path):
    for name in "wandb_runs.json.7", "wandb_runs.p9.json.9", "wandb_hook.json.7":
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "wandb_runs.json.8").touch()  # its process may be at it
    Writer([str(tmp_path)], MAX).write(line(1))
    assert names(tmp_path) == ["wandb_metrics.jsonl", "wandb_runs.json.8"]


def test_a_link_in_the_place_of_a_half_written_file(tmp_path):
    (tmp_path / "target").write_text("keep")
    (tmp_path / f"a.json.{os.getpid()}").symlink_to(tmp_path / "target")
    jsonfile.replace(str(tmp_path / "a.json"), {})
    assert (tmp_path / "target").read_text() == "keep"
    assert (tmp_path / "a.json").read_text() == "{}"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_json_file_is_not_read(tmp_path, make):
    make(tmp_path / "a.json")
    assert jsonfile.load(str(tmp_path / "a.json")) is None


def test_a_torn_line_is_ended_before_the_next(tmp_path):
    (tmp_path / "wandb_metrics.jsonl").write_bytes(b'{"timestamp":1')
    Writer([str(tmp_path)], MAX).write(b"{}\n")
    assert (tmp_path / "wandb_metrics.jsonl").read_bytes() == b'{"timestamp":1\n{}\n'


def test_what_interrupts_the_first_run_does_not_lose_the_next(tmp_path):
    writer = Writer([str(tmp_path)], MAX)
    writer.write(line(0))
    known = Runs(writer, identity.read({}), journal.at_once)
    for number in at_each(lambda number: known.begin(str(number), None), runs, journal):
        known.begin("next", None)
        assert "next" in jsonfile.load(str(tmp_path / "wandb_runs.json")), number
        (tmp_path / "wandb_runs.json").unlink()
    assert number > 100


def test_what_interrupts_an_open_leaves_no_lock_behind(tmp_path):
    def act(number):
        writers[number].write(line(0))

    writers = [Writer([str(tmp_path / str(number))], MAX) for number in range(3000)]
    for number in at_each(act, writer, own_file, append_file):
        assert writers[number].write(line(1))
        assert names(tmp_path / str(number)) == ["wandb_metrics.jsonl"]
        writers[number].release()
    assert number > 100


@contextlib.contextmanager
def largest_file(size):
    known = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, known[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, known)


def test_what_interrupts_a_write_tears_no_line(tmp_path):
    def act(number):
        writers.append(Writer([str(tmp_path / str(number))], MAX))
        writers[-1].write(line(0, 60))
        with largest_file(150):
            writers[-1].write(line(1))

    writers = []
    for number in at_each(act, append_file):
        writers[-1].write(line(2))
        with largest_file(250):
            writers[-1].write(line(3))
        text = (tmp_path / str(number) / "wandb_metrics.jsonl").read_bytes()
        assert set(text.splitlines(True)) <= {line(0, 60), line(2), line(3)}, number
    assert number > 100


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file
def test_what_interrupts_a_replacement_leaves_nothing_half_done(tmp_path):
    for number in at_each(lambda _: jsonfile.replace(str(tmp_path / "a.json"), 1), jsonfile):
        assert names(tmp_path) in ([], ["a.json"]), number
    assert number > 30


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/passwd", path)]
)
def test_something_else_in_the_files_place(tmp_path, make):
    make(tmp_path / "wandb_metrics.jsonl")
    writer = Writer([str(tmp_path)], MAX)
    assert writer.write(line(1))
    assert (tmp_path / f"wandb_metrics.p{os.getpid()}.jsonl").read_bytes() == line(1)


def test_a_foreign_link_in_the_directory_does_not_stop_the_writer(tmp_path):
    (tmp_path / "wandb_metrics.1.jsonl").symlink_to("/etc/passwd")
    writer = Writer([str(tmp_path)], MAX)
    assert all(writer.write(line(i)) for i in range(3000))


def test_a_signal_handler_that_writes_while_a_line_is_written(tmp_path):
    writer = Writer([str(tmp_path)], 1 << 30)
    previous = signal.signal(signal.SIGALRM, lambda *_: writer.write(line(-1)))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for i in range(20_000):
            writer.write(line(i))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert [i for i in numbers(tmp_path) if i >= 0] == list(range(20_000))
    assert -1 in numbers(tmp_path)


def ours(directory):
    """The numbers of our descriptors of this directory."""
    numbers = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing
            if os.readlink(f"/proc/self/fd/{number}").startswith(f"{directory}/wandb_metrics"):
                numbers.append(int(number))
    return numbers


def test_signal_handlers_that_write_while_files_are_opened(tmp_path):
    writer, told = Writer([str(tmp_path)], MAX), []
    previous = signal.signal(signal.SIGALRM, lambda *_: told.append(writer.write(line(-1))))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for i in range(2_000):
            writer.write(line(i, 2_000))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert all(told)
    assert len(ours(tmp_path)) == 1
    assert not [name for name in names(tmp_path) if ".p" in name]
    writer.release()


def test_signal_handlers_that_write_at_any_moment(tmp_path, monkeypatch):
    def while_opening(directory, *args, **kwargs):
        waiting.append(len(waiting) + 3)
        writers[int(os.path.basename(directory))].write(line(waiting[-1]))  # for the open to end
        return own_file.open_own(directory, *args, **kwargs)

    def handler(number):
        writers[number].write(line(2))

    writers, waiting = [Writer([str(tmp_path / str(number))], MAX) for number in range(3000)], []
    monkeypatch.setattr(writer, "open_own", while_opening)
    for number in at_each(lambda number: writers[number].write(line(0)), writer, handler=handler):
        assert sorted(numbers(tmp_path / str(number))) == [0, 2, *waiting], number
        writers[number].release()
        waiting.clear()
    assert number > 100


def test_signal_handlers_that_write_where_the_descriptor_was_closed(tmp_path):
    def prepare(number):
        directories.append(tmp_path / f"closed{number}")
        writers.append(Writer([str(directories[-1])], MAX))
        writers[-1].write(line(0))
        os.close(*ours(directories[-1]))

    def act(number, what=1):
        writers[number].write(line(what))

    directories, writers = [], []
    prepare(0)
    for number in at_each(act, writer, append_file, handler=lambda number: act(number, 2)):
        assert sorted(numbers(directories[number])) == [0, 1, 2], number
        writers[number].release()
        prepare(number + 1)
    assert number > 100


def test_the_trainings_own_descriptor_of_our_file_is_its_own(tmp_path):
    writer = Writer([str(tmp_path)], MAX)
    writer.write(line(1))
    (number,) = ours(tmp_path)
    os.close(number)
    assert os.open(tmp_path / "wandb_metrics.jsonl", os.O_RDONLY) == number  # of the same inode
    assert writer.write(line(2))
    writer.release()
    assert os.read(number, 1000) == line(1) + line(2)
    os.close(number)


def test_a_second_process_keeps_its_name(tmp_path):
    first, second = Writer([str(tmp_path)], MAX), Writer([str(tmp_path)], MAX)
    assert first.write(line(1))
    assert second.write(line(2))
    own = second.owner
    first.release()
    for i in range(500):
        second.write(line(i))
    assert second.owner == own != ""
    second.release()


def test_a_writer_that_closes_its_file_keeps_the_limit(tmp_path):
    writer = Writer([str(tmp_path)], MAX, holds=False)
    for i in range(100):
        assert writer.write(line(i, 5_000))
        writer.release()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MAX
    assert len(names(tmp_path)) == 4
    assert numbers(tmp_path)[-1] == 99


def test_a_second_name_of_somebody_elses_file(tmp_path):
    (tmp_path / "victim").write_text("keep")
    os.link(tmp_path / "victim", tmp_path / "wandb_metrics.jsonl")
    assert Writer([str(tmp_path)], MAX).write(line(1))
    assert (tmp_path / "victim").read_text() == "keep"


def test_the_program_of_the_clusters_pods_writes_its_lines(tmp_path):
    command = [sys.executable, short_job.__file__, str(tmp_path), "3", "0"]
    subprocess.run(command, check=True)
    (path,) = tmp_path.glob("node_0/rank_0/*.jsonl")
    assert len(path.read_bytes().splitlines()) == 3
