# SPDX-License-Identifier: Apache-2.0
"""Random training programs: streams of rows that disagree about the step, and what surrounds them.

The same seed gives the same program. Each number is logged once, so that it can be found
again; values that are no plain numbers have a key of their own. Axes carry step numbers.
"""

import itertools
import random

from support.differential.program import Line, Log, Program

# What a program defines, and the axis that its rows carry. Only one pattern matches a key:
# of several that do, wandb takes any.
AXES = (
    (None, ()),
    (None, ()),
    ("train/global_step", ('"train/global_step"', '"*", step_metric="train/global_step"')),
    ("trainer/global_step", ('"*", step_metric="trainer/global_step", step_sync=True',)),
    ("global_step", ('"train/*", step_metric="global_step"',)),
    ("epoch", ('"eval/*", step_metric="epoch", step_sync=True', '"loss", step_metric="epoch"')),
    ("epoch", ('"eval/*", step_metric="epoch", step_sync=False',)),
    ("samples", ('"samples", hidden=True', '"*", step_metric="samples"')),
    ("global_step", ()),
)
SUMMARIES = ("min", "max", "mean", "last", "first", "none", "min,max")
ODD = (
    "numpy.float32({n})",
    "numpy.int64({n})",
    "numpy.array({n})",
    "numpy.array([{n}, 1])",
    "numpy.array([{n}])",
    "wandb.Histogram([1, 2, {n}])",
    "[{n}, 2]",
    "({n}, 2)",
    "None",
    '"text {n}"',
    'float("nan")',
    'float("inf")',
    "True",
    "object()",
    "unittest.mock.Mock()",
    "Raises()",
    "numpy.ma.masked",
    "b'bytes {n}'",
    "{{}}",
    "{{'a': {{'b': {n}}}}}",
    "{n} ** 7",  # older ones fail at an integer of more than 64 bits
)
ODD_KEYS = ('"f1*{n}"', 'os.fsdecode(b"wer/caf\\xe9{n}")', "{n}", '"a.b{n}"', '"{n} spaces"')
ODD_STEPS = ('"x"', "3.5", "numpy.int64({n})", "{n}.0", "numpy.float32({n})", "[]", "True")


NEWEST = (99,)


def programs(seed, count, wandb=NEWEST):
    """That many programs for this version of wandb; no two of them have the same name."""
    return [program(f"{seed}-{number}", wandb) for number in range(count)]


def program(name, wandb=NEWEST):
    dice = random.Random(name)
    maker = dice.choices((Streams, Chaos), (4, 1))[0](dice)
    maker.wandb = wandb
    length = dice.choice((12, 25, 40, 60))
    return Program(name, tuple(itertools.islice(maker.operations(), length)))


class Maker:
    """What both kinds of programs are made of."""

    def __init__(self, dice):
        self.dice = dice
        self.numbers = itertools.count(1000)
        self.axis, self.definitions = dice.choice(AXES)

    wandb = NEWEST

    def operations(self):
        for definition in self.definitions:
            yield Line(f"define(run, {definition})")
        if self.dice.random() < 0.2:
            yield self.summarized("loss")
        while True:
            for operation in self.rows():
                if self.dice.random() < 0.12:
                    yield self.aside()
                yield operation

    def row(self, *keys):
        """A row with a new number for each key."""
        return tuple((f'"{key}"', self.number()) for key in keys)

    def number(self):
        return f"{next(self.numbers)}{self.dice.choice(('', '', '.5'))}"

    def on_axis(self, step, *keys):
        """A row that carries the program's axis."""
        return Log((*self.row(*keys), (f'"{self.axis or "epoch"}"', str(step))))

    def aside(self):
        """Something between the rows."""
        number = next(self.numbers)
        key = self.dice.choice(("loss", "late", "eval/acc", "train/loss", "free", "deep"))
        choices = [
            Line(f'read(run, "{self.dice.choice(("item", "get", "in"))}", "{key}")'),
            Line('read(run, "all")'),
            Line('read(run, "keys")'),
            Line(f'write(run, "{self.dice.choice(("best", key))}", {number})'),
            Line(f'define(run, "{key}", hidden=True, overwrite={self.dice.random() < 0.3})'),
        ]
        if self.wandb > (0, 12, 0):  # which looks at a row when it is over
            choices += [self.odd(number), self.odd(number)]
        if self.wandb >= (0, 13):  # older ones do not count an empty row
            choices.append(Line("log(run, {})"))
        if self.wandb >= (0, 18):  # older ones fail where the key has a summary already
            choices.append(self.summarized(key))
        return self.dice.choice(choices)

    def summarized(self, key):
        return Line(f'define(run, "{key}", summary="{self.dice.choice(SUMMARIES)}")')

    def odd(self, number):
        """A row with a value, a key or a step that is no usual one."""
        value = self.dice.choice(ODD if self.wandb >= (0, 18) else ODD[:-1]).format(n=number)
        step = self.dice.choice((None, str(self.step), str(max(0, self.step - 2))))
        kind = self.dice.choice(("value", "value", "key", "step"))
        if kind == "key":
            key = self.dice.choice(ODD_KEYS).format(n=number)
            return Log(((key, str(number)),), step)
        if kind == "step":
            step = self.dice.choice(ODD_STEPS).format(n=self.step)
            return Log(self.row("loss"), step)
        beside = self.row("loss") if self.dice.random() < 0.3 else ()
        return Log(((f'"odd{number}"', value), *beside), step)


class Streams(Maker):
    """A training loop with callbacks, evaluations and libraries, each with steps of its own."""

    def __init__(self, dice):
        super().__init__(dice)
        self.step = dice.choice((0, 0, 1, 500))
        self.stride = dice.choice((1, 1, 1, 10))
        every = [self.late, self.evaluation, self.stepless, self.two_at_once]
        every += [self.carrying, self.nested, self.samples, self.late_carrying]
        self.streams = dice.sample(every, dice.randint(1, 4))
        self.delay = dice.choice((1, 1, 2, 5)) * self.stride
        self.main = dice.choices(("explicit", "carrying", "stepless", "commit"), (6, 2, 1, 1))[0]
        self.rewind_at = self.step + dice.choice((5, 8, 1000)) * self.stride

    def rows(self):
        yield self.main_row()
        for stream in self.streams:
            yield from stream()
        self.step += self.stride
        if self.step >= self.rewind_at:
            self.step -= self.dice.randint(2, 5) * self.stride
            self.rewind_at += 1000 * self.stride

    def main_row(self):
        if self.main == "carrying":
            return self.on_axis(self.step, "loss")
        if self.main == "stepless":
            return Log(self.row("loss", "train/loss"))
        commit = self.dice.choice((True, False)) if self.main == "commit" else None
        return Log(self.row("loss"), str(self.step), commit)

    def past(self):
        return str(max(0, self.step - self.delay))

    def late(self):
        yield Log(self.row("late", "late/more"), self.past())

    def evaluation(self):
        if self.dice.random() < 0.3:
            yield Log(self.row("eval/acc"), self.past())

    def stepless(self):
        yield Log(self.row("free"), None, self.dice.choice((None, None, None, False)))

    def two_at_once(self):
        yield Log(self.row("first"), str(self.step))
        yield Log(self.row(self.dice.choice(("first", "second"))), str(self.step))

    def carrying(self):
        if self.dice.random() < 0.5:
            yield self.on_axis(self.step, "train/loss")

    def late_carrying(self):
        if self.dice.random() < 0.3:
            row = self.on_axis(self.past(), "eval/acc").row
            yield Log(row, self.dice.choice((None, self.past())))

    def nested(self):
        yield Log((('"deep"', f"{{'a': {self.number()}, 'b': {{'c': {self.number()}}}}}"),))

    def samples(self):
        yield Log(self.row("samples/loss"), str(self.step * 16))


class Chaos(Maker):
    """Rows with any keys at any step near the last one."""

    def __init__(self, dice):
        super().__init__(dice)
        self.step = 5

    def rows(self):
        self.step = max(0, self.step + self.dice.choice((0, 0, 1, 1, 2, -1, -3)))
        keys = self.dice.sample(("loss", "late", "eval/acc", "train/loss", "x"), 2)
        row = self.row(*keys[: self.dice.randint(1, 2)])
        if self.dice.random() < 0.3:
            row += ((f'"{self.axis or "epoch"}"', str(self.step)),)
        step = self.dice.choice((None, str(self.step), str(self.step)))
        yield Log(row, step, self.dice.choice((None, None, None, True, False)))
