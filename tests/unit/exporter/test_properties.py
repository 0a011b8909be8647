# SPDX-License-Identifier: Apache-2.0
"""Whatever a writer does to its files, in whatever order: each consumer gets each record once."""

import shutil
import tempfile
import time
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from support.examples import times
from support.reading import Reader, Recorder
from support.serving import record

NAMES = st.sampled_from(
    [
        "wandb_metrics.jsonl",
        "wandb_metrics.p7.jsonl",
        "wandb_metrics.1.jsonl",
        "wandb_metrics.2.jsonl",
    ]
)
COUNTS = st.integers(1, 4)
CLOCK_TICK = 0.01  # of the file system: a rewrite at the same size must have another time


class File:
    """What was written to one file under whatever names, until it was rewritten in place."""

    def __init__(self):
        self.numbers = []
        self.torn = b""  # what is missing of the last line,
        self.torn_number = 0  # and its number
        self.seen = False
        self.owed = True
        """Whether all that is in it must be delivered once it was seen."""


class Writer(RuleBasedStateMachine):
    """Acts at random; `files` says what lies under each name, `all` what ever did."""

    hold = True

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.directory = self.root / "node_0" / "rank_0"
        self.directory.mkdir(parents=True)
        self.files, self.all, self.number = {}, [], 0
        self.recorders = [Recorder(), Recorder()]
        self.reader = Reader(self.root, *self.recorders, hold=self.hold)

    def teardown(self):
        try:
            self.recorders[1].accepting = True
            self.look_and_read()
        finally:
            self.reader.close()
            shutil.rmtree(self.root)

    # What a writer does.

    @rule(name=NAMES, count=COUNTS)
    def append(self, name, count):
        """Also behind a torn line, as a process does whose predecessor was killed."""
        self.write(name, self.lines(self.file(name), count))

    @rule(name=NAMES, cut=st.integers(1, 30))
    def append_half_a_line(self, name, cut):
        self.begin_line(name, cut)

    @rule(name=NAMES)
    def append_a_line_without_its_newline(self, name):
        self.begin_line(name, -1)

    @rule(name=NAMES)
    def append_the_other_half(self, name):
        if (file := self.files.get(name)) and file.torn:
            file.numbers.append(file.torn_number)
            self.write(name, file.torn)

    @rule(old=NAMES, new=NAMES)
    def rename(self, old, new):
        if old in self.files and old != new:
            (self.directory / old).rename(self.directory / new)
            self.unlinked(new)
            self.files[new] = self.files.pop(old)

    @rule(name=NAMES)
    def delete(self, name):
        if name in self.files:
            (self.directory / name).unlink()
            self.unlinked(name)

    @rule(name=NAMES, count=COUNTS)
    def replace_by_another_file(self, name, count):
        self.unlinked(name)
        (self.directory / "new").write_bytes(self.lines(self.file(name), count))
        (self.directory / "new").replace(self.directory / name)

    @rule(name=NAMES, count=COUNTS)
    def rewrite_in_place(self, name, count):
        if name in self.files:
            self.files.pop(name).owed = False
        time.sleep(CLOCK_TICK)
        (self.directory / name).write_bytes(self.lines(self.file(name), count))

    # What the exporter does.

    @rule()
    def look(self):
        self.reader.look()
        for file in self.files.values():
            file.seen = True

    @rule()
    def read(self):
        self.reader.read()
        self.check()

    @rule()
    def look_and_read(self):
        for _ in range(2):  # a file that was renamed since the look waits for the next one
            self.look()
            self.reader.read()
        self.check()
        for recorder in self.recorders:
            for file in self.all if recorder.accepting else ():
                if file.owed and file.seen:
                    assert self.delivered(file, recorder) == file.numbers

    @rule()
    def one_consumer_lags_or_goes_on(self):
        self.recorders[1].accepting = not self.recorders[1].accepting

    @rule(data=st.data())
    def start_again_where_it_once_was(self, data):
        for number, recorder in enumerate(self.recorders):
            calls = recorder.calls
            self.recorders[number] = Recorder(calls[: data.draw(st.integers(0, len(calls)))])
        self.reader.close()
        self.reader = Reader(self.root, *self.recorders, hold=self.hold)
        for file in self.all:
            file.seen = False

    def check(self):
        """Of each file what was written first, in order, and nothing twice."""
        for recorder in self.recorders:
            for file in self.all:
                delivered = self.delivered(file, recorder)
                assert delivered == file.numbers[: len(delivered)]

    def delivered(self, file, recorder):
        return [number for number in recorder.numbers if number in file.numbers]

    def file(self, name):
        if name not in self.files:
            self.files[name] = File()
            self.all.append(self.files[name])
        return self.files[name]

    def lines(self, file, count):
        numbers = range(self.number + 1, self.number + 1 + count)
        self.number += count
        file.numbers += numbers
        return b"".join(record(step=number, timestamp=number) for number in numbers)

    def begin_line(self, name, cut):
        file = self.file(name)
        if not file.torn:
            line = self.lines(file, 1)
            file.torn_number = file.numbers.pop()
            self.write(name, line[:cut])
            file.torn = line[cut:]

    def write(self, name, data):
        with (self.directory / name).open("ab") as out:
            out.write(data)
        self.files[name].torn = b""

    def unlinked(self, name):
        """An open file is read to its end all the same, and its last line needs no newline."""
        if (file := self.files.pop(name, None)) is None:
            return
        file.owed = self.hold and file.seen
        if file.torn == b"\n":
            file.numbers.append(file.torn_number)


class WriterOnASharedVolume(Writer):
    hold = False


RUN = times(0.6, stateful_step_count=30)

TestFilesThatStayOpen = Writer.TestCase
TestFilesThatStayOpen.settings = RUN
TestFilesThatAreOpenedForEachPass = WriterOnASharedVolume.TestCase
TestFilesThatAreOpenedForEachPass.settings = RUN
