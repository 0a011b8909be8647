# SPDX-License-Identifier: Apache-2.0
"""`primus-lens top` in a real terminal, before a real exporter."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from support import terminals
from support.serving import Exporter, record, until
from support.terminals import CTRL_C, CTRL_Z, DOWN, ENTER, ESCAPE, UP, Terminal

# What rich itself sends: styles, the cursor, the second screen.
OURS = re.compile(rb"\x1b\[(\d+(;\d+)*)?m|\x1b\[H|\x1b\[\?(1049|25)[hl]")
COLOUR = re.compile(r"\x1b\[(\d+;)*(3[0-8]|9[0-7])(;\d+)*m")
EVIL = "\x1b[2J\x1b]0;owned\x07[red]evil[/red]\u202egnp\n\x9b31m:boom:"
SHOWN = "�[2J�]0;owned�[red]evil[/red]�gnp��31m:boom:"


def rank(root, node, local):
    directory = root / f"node_{node}" / f"rank_{local}"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def log(root, run, node=0, local=0, steps=600, loss=0.5, **names):
    """A training that has logged every second until now."""
    now, directory = time.time(), rank(root, node, local)
    lines = [record(step, run, now - steps + step, **{"train/loss": loss}) for step in range(steps)]
    with (directory / "wandb_metrics.jsonl").open("ab") as file:
        file.write(b"".join(lines))
    (directory / "wandb_runs.json").write_text(json.dumps({run: names}))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An exporter of three runs: one of four ranks, one with an evil name, one with a NaN."""
    root = tmp_path_factory.mktemp("records")
    for local in range(4):
        names = {"project": "llm", "name": "llama-pretrain-on-a-corpus-with-a-long-name"}
        fix = {"logs": 30, "conflicts": 7, "dropped": 0, "flushes": 1}
        log(root, "aaaa", 0, local, steps=600 + local, step_fix=fix, **names)
    log(root, "bbbb", 1, 0, project="evil", name=EVIL, group="汉字")
    for local, loss in (2, 0.25), (1, "NaN"):
        log(root, "cccc", 1, local, loss=loss, project="汉字漢字", name="測試")
    with Exporter(root) as exporter:
        until(lambda: exporter.series().count(',name="') == 7)
        yield exporter


@pytest.fixture
def top(served):
    """Starts `primus-lens top` before that exporter."""
    started = []

    def start(*arguments, **size):
        started.append(Terminal("top", served.url, "--interval=1", *arguments, **size))
        return started[-1]

    yield start
    for each in started:
        each.__exit__()


def test_runs_are_shown_with_what_is_known_of_them(top):
    terminal = top(columns=120)
    terminal.wait("llm/llama-pretrain", "汉字漢字/測試", "ready", "7 ranks", "0 dropped", "q quit")
    (row,) = [line for line in terminal.lines if line.startswith("llm/") and "▁" in line]
    assert re.search(r" 602 .* 0\.5 .* \d+s +4 +28$", row), row
    assert terminal.lines.index(row) < terminal.text.count("\n") - 3
    terminal.type(DOWN)
    terminal.wait("id aaaa", "conflicts 28 of 120 log calls")


def test_a_hint_is_in_its_row_and_in_full_below(top):
    terminal = top()
    terminal.wait("! NaN/Inf")
    terminal.type("/NaN-has-no-name" + "\x7f" * 16 + "測試" + ENTER)
    terminal.wait("! train/loss is NaN or infinite on rank 1/1. (PrimusLensLossNotFinite)")
    terminal.wait_without("llm/")


def test_what_is_logged_is_shown_soon(tmp_path):
    log(tmp_path, "r", name="train")
    with Exporter(tmp_path) as exporter, Terminal("top", exporter.url, "--interval=1") as terminal:
        terminal.wait("train", " 599 ")
        with (rank(tmp_path, 0, 0) / "wandb_metrics.jsonl").open("ab") as file:
            file.write(record(123_456, "r", time.time(), **{"train/loss": 0.25}))
        terminal.wait("123,456", "0.25")
        terminal.type("p")
        log(tmp_path, "new", 0, 1, name="another")
        exporter.wait(
            'primus_lens_wandb_records_total{node_rank="0",local_rank="1",run_id="new"}', 600
        )
        time.sleep(2.5)  # it asks each second
        assert "another" not in terminal.text
        terminal.type("p")
        terminal.wait("another")


def test_enter_opens_the_ranks_of_a_run_and_escape_closes_them(top):
    terminal = top()
    terminal.wait("llm/")
    terminal.type("/llama" + ENTER + ENTER)
    terminal.wait("0/0", "0/1", "0/2", "0/3", "behind", "Esc back")
    behind = [line.split()[2] for line in terminal.lines if re.match(r"0/\d ", line)]
    assert behind == ["3", "2", "1", "0"]
    terminal.type(ESCAPE)
    terminal.wait("Enter ranks")


def test_a_rank_is_marked_where_the_hint_is_of_it(top):
    terminal = top()
    terminal.wait("llm/")
    terminal.type("/測試" + ENTER + ENTER)
    terminal.wait("behind")
    bad, good = [line for line in terminal.lines if line.startswith("1/")]
    assert (bad.endswith("! NaN/Inf"), good.endswith("s      600")) == (True, True)


def chosen(terminal):
    """The row in reverse, and what is said below of the run that is chosen."""
    _ = terminal.text
    rows = [line for number, line in enumerate(terminal.screen.display)
            if terminal.screen.buffer[number][0].reverse]  # fmt: skip
    return rows[0].split()[0] if rows else None


def test_arrows_choose(top):
    terminal = top()
    terminal.wait("llm/")
    terminal.type("ss")  # by step: the run of four ranks is ahead, the others go by name
    terminal.wait("sort: step")
    until(lambda: chosen(terminal).startswith("llm/"))
    for key, first in (DOWN, "evil/"), ("j", "汉"), (DOWN, "汉"), ("k", "evil/"), (UP, "llm/"):
        terminal.type(key)
        until(lambda first=first: chosen(terminal).startswith(first))
    terminal.type("\x1b[F")
    until(lambda: chosen(terminal).startswith("汉"))


def test_what_is_chosen_stays_chosen_in_another_order(top):
    terminal = top()
    terminal.wait("llm/")
    terminal.type("s" + DOWN)  # by name
    until(lambda: chosen(terminal).startswith("llm/"))
    terminal.type("s")
    terminal.wait("sort: step")
    assert chosen(terminal).startswith("llm/")


def test_a_filter_without_a_run_says_so(top):
    terminal = top()
    terminal.wait("llm/")
    terminal.type("/nothing")
    terminal.wait("No run has 'nothing' in its names")
    terminal.type(ESCAPE)
    terminal.wait("llm/")


def test_help_and_pause(top):
    terminal = top()
    terminal.wait("llm/")
    terminal.type("?")
    terminal.wait("Any key closes this.")
    terminal.type("p")
    terminal.wait("q quit")
    assert "paused" not in terminal.text
    terminal.type("p")
    terminal.wait("paused: shown is what was at")
    terminal.type("p")
    terminal.wait_without("paused")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("q", 0),
        (CTRL_C, 0),
        ("?q" + CTRL_C, 0),
        ("\x1c", 128 + signal.SIGQUIT),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGINT, 0),
    ],
)
def test_the_terminal_is_as_it_was(top, end, status):
    terminal = top()
    terminal.wait("llm/")
    assert not terminal.restored
    terminal.type(end) if isinstance(end, str) else terminal.process.send_signal(end)
    assert terminal.end() == status
    assert terminal.restored
    assert b"Traceback" not in terminal.raw


def test_a_suspended_screen_gives_the_terminal_back_and_comes_again(top):
    terminal = top()
    terminal.wait("llm/")
    terminal.type(CTRL_Z)
    until(terminal.stopped)
    assert terminal.restored
    terminal.screen.reset()
    terminal.resume()
    terminal.wait("llm/", "q quit")
    assert not terminal.restored
    terminal.type("q")
    assert (terminal.end(), terminal.restored) == (0, True)


@pytest.mark.parametrize("controlling", [True, False])
def test_a_terminal_that_goes_is_the_end(top, controlling):
    terminal = top("--interval=600", controlling=controlling)
    terminal.wait("llm/")
    terminal.hang_up()
    assert until(terminal.process.poll) == 128 + signal.SIGHUP


@pytest.mark.exhaustive
def test_an_exporter_that_goes_and_comes_again(tmp_path):
    log(tmp_path, "r", name="train")
    exporter = Exporter(tmp_path)
    with exporter, Terminal("top", exporter.url, "--interval=1") as terminal:
        terminal.wait("train")
        exporter.__exit__()
        terminal.wait("! shown is what was at", "connection refused", "train")
        exporter.__enter__()
        terminal.wait_without("connection refused")
        exporter.__exit__()
        terminal.wait("connection refused")
        terminal.type("q")
        assert (terminal.end(), terminal.restored) == (0, True)
        exporter.__enter__()


@pytest.mark.exhaustive
def test_a_run_that_goes_while_its_ranks_are_shown(tmp_path):
    log(tmp_path, "r", name="train", finish=time.time())
    log(tmp_path, "s", 0, 1, name="other")
    with (
        Exporter(tmp_path, "--series.grace-seconds=8") as exporter,
        Terminal("top", exporter.url, "--interval=1") as terminal,
    ):
        terminal.wait("train", "ended")
        terminal.type("/train" + ENTER + ENTER)
        terminal.wait("behind")
        terminal.wait("This run has gone. Esc goes back.")
        terminal.type(ESCAPE)
        terminal.wait("No run has 'train' in its names")


@pytest.mark.parametrize("view", ["", "/evil" + ENTER + ENTER])
def test_an_evil_name_is_only_shown(top, view):
    terminal = top(columns=150)
    terminal.wait("llm/")
    terminal.type("/evil" + ENTER)
    terminal.wait(SHOWN)
    terminal.type(view)
    terminal.type("q")
    terminal.end()
    rest = OURS.sub(b"", terminal.raw).decode()
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rest)


@pytest.mark.parametrize(("columns", "lines"), [(40, 12), (80, 24), (200, 50), (20, 6), (8, 3)])
def test_every_size_shows_what_is_chosen(top, columns, lines):
    terminal = top(columns=columns, lines=lines)
    terminal.wait("q quit"[:columns])
    until(lambda: chosen(terminal))
    terminal.type("\x1b[F")  # the last one, wherever the list has been
    until(lambda: chosen(terminal).startswith("汉"))
    assert len(terminal.lines[-1]) <= columns
    assert terminal.lines[-1].startswith("q quit"[: columns - 1])
    titles = {
        40: ["run", "step", "hints"],
        80: ["ranks", "steps/s", "hints"],
        200: ["conflicts", "key"],
    }
    assert all(each in terminal.text for each in titles.get(columns, ()))


def test_columns_are_aligned_whatever_the_names(top):
    terminal = top(columns=80)
    terminal.wait("llm/", "汉字")
    drawn = terminal.screen.buffer
    starts = [
        column
        for number, line in enumerate(terminal.lines)
        if "▁" in line
        for column in range(80)
        if drawn[number][column].data == "▁" and drawn[number][column - 1].data == " "
    ]
    assert len(starts) >= 2
    assert len(set(starts)) == 1


def test_a_window_that_is_resized(top):
    terminal = top("--interval=600", columns=150, environ={"COLUMNS": "150", "LINES": "30"})
    terminal.wait("on-a-corpus-with-a-long-name ")
    terminal.resize(60, 15)
    until(lambda: terminal.lines[-1].startswith("q quit"))
    terminal.wait("llm/llama")
    terminal.resize(150, 40)
    until(lambda: terminal.lines[-1].startswith("q quit"))


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_without_colours_the_words_stay(top, environ, coloured):
    terminal = top(environ=environ)
    terminal.wait("! NaN/Inf")
    until(lambda: chosen(terminal))
    assert bool(COLOUR.search(terminal.raw.decode())) == coloured


def once(*arguments, **environ):
    plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # xdist's
    done = subprocess.run(
        [*terminals.PROGRAM, "top", *arguments],
        env={**plain, **environ},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("flags", [[], ["--once"]])
def test_a_pipe_gets_one_table_of_whole_names(served, flags):
    status, printed, errors = once(served.url, *flags)
    assert (status, errors) == (0, "")
    assert re.search(
        r"^llm/llama-pretrain-on-a-corpus-with-a-long-name +602 .* 28$", printed, re.MULTILINE
    )
    assert f"evil/{SHOWN} " in printed
    assert "! train/loss is NaN or infinite on rank 1/1. (PrimusLensLossNotFinite)" in printed
    assert "\x1b" not in printed


def test_once_in_a_terminal_is_as_wide_as_it_and_stays_there(top):
    terminal = top("--once", columns=60)
    assert terminal.end() == 0
    assert terminals.ALTERNATE not in terminal.raw
    terminal.wait("llm/llama", "…", "! NaN/Inf")


@pytest.mark.parametrize("environ", [{"COLUMNS": "50"}, {"PYTHONIOENCODING": "ascii"}])
def test_once_for_those_who_want_it_otherwise(served, environ):
    status, printed, errors = once(served.url, **environ)
    assert (status, errors) == (0, "")
    assert "COLUMNS" not in environ or max(map(len, printed.splitlines())) <= 50
    assert "COLUMNS" in environ or printed.isascii()


def test_a_reader_that_has_seen_enough(served):
    command = f"{subprocess.list2cmdline([*terminals.PROGRAM])} top {served.url} | true"
    done = subprocess.run(["bash", "-c", f"{command}"], capture_output=True, timeout=60)
    assert done.stderr == b""


def test_no_run_yet(tmp_path):
    with Exporter(tmp_path) as exporter:
        assert "No run to show" in once(exporter.url)[1]
