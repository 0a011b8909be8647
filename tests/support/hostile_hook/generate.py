# SPDX-License-Identifier: Apache-2.0
"""Random lives. The same seed gives the same ones, and a life does the same natively and hooked.

That bounds what may meet: wandb itself deadlocks where a handler logs within a call of an
offline run, and fails where its own descriptors are closed.
"""

import random

from primus_lens_hook import contract

from support.hostile_hook import places
from support.hostile_hook.life import Life

# How many of a hundred. A life with an offline run costs 2 s, one that starts interpreters too;
# the others cost 0.1 s.
OFFLINE, INTERPRETERS = 8, 3
PLACES = {
    "plain": 60, "made": 6, "small disk": 8, "few inodes": 3, "no parent": 4, "file": 2,
    "unwritable": 3, "owned by another": 3, "read-only": 3, "link": 2, "ext4": 1, "fuse": 2,
}  # fmt: skip
SETTINGS = {
    contract.ENV_MAX_BYTES: "65536",
    contract.ENV_ENHANCE_METRICS: "true",
    contract.ENV_STEP_FIX: "false",
    contract.ENV_DUPLICATES: "keep",
    contract.ENV_MARK_ROWS: "false",
}
VALUES = (
    "Item()", "Shape()", "Attributes()", "Speechless()", "Missing()", "Half()", "Lazy(a=1)",
    "Endless()", "Text('text')", "Integer(7)", "Word.LOSS", "Chatty()", "None", "True",
    "float('nan')", "float('inf')", "10**30", "10**400", "-10**5000", "'\\ud83d'", "'text'",
    "b'\\xff'", "[1, 2]", "(1, [2])", "{'a': {'b': 1}}", "{'a': Missing()}", "{1: 2}", "1j",
    "object()", "print", "range(3)", "{'\\udc80': 1}", "{Text('a'): 1}", "memoryview(b'ab')",
    "'x' * 100000", "{'a' * 5000: 1}", "Integer(2 ** 70)", "{'a': Item(), 'b': 2}",
)  # fmt: skip
KEYS = (
    "'loss'",
    "'a.b'",
    "'\\udce9'",
    "'%s %d'",
    "''",
    "'é'",
    "Word.LOSS",
    "Text('key')",
    "'q\"\\n'",
)
STEPS = ("0", "5", "3", "-1", "2.0", "'x'", "None", "2 ** 70", "True")
WHOLE = ("None", "[1]", "{1: 2}", "Missing()", "Half()", "Lazy(a=1)", "{}", "'row'", "Endless()")
ENDS = ("return", "os._exit", "raise", "SystemExit 3", "kill")
LAST = (
    *("return",) * 6, "raise", "raise", "SystemExit 3", "SystemExit text", "KeyboardInterrupt",
    "os._exit", "kill", "kill", "terminate", "abort", "segfault",
)  # fmt: skip


def lives(seed, count):
    return [life(f"{seed}-{number}") for number in range(count)]


def life(name):
    """The life of that name."""
    dice = random.Random(name)
    mode = "offline" if dice.random() < OFFLINE / 100 else "disabled"
    starts = "interpreter" if dice.random() < INTERPRETERS / 100 else "forked"
    place = dice.choices(list(PLACES), PLACES.values())[0]
    env = [pair for pair in SETTINGS.items() if dice.random() < 0.03]
    closed = dice.choice(((0, 1, 2), (2,), (0,), (1, 2))) if dice.random() < 0.04 else ()
    maker = Maker(dice, mode, starts, place)
    return Life(name, tuple(maker.lines()), place, mode, starts, closed, tuple(env))


class Maker:
    """Makes the lines of one life."""

    def __init__(self, dice, mode, starts, place):
        self.dice, self.mode, self.place = dice, mode, place
        self.names = (f"part{number}" for number in range(1000))
        self.kinds = [self.plain, self.odd, self.odd, self.wandb, self.children, self.code]
        self.kinds += [self.records, self.closed_records]
        self.kinds += [self.files] if mode == "disabled" else []
        if starts == "interpreter":
            self.kinds += [self.programs] * 3
        if place in DISKS:
            self.kinds += [self.disk] * 4

    def lines(self):
        dice = self.dice
        if dice.random() < 0.1:
            yield "at_exit()"
        yield f'begin(mode="{self.mode}")'
        for _ in range(dice.randint(2, 9)):
            yield from dice.choice(self.kinds)()
            if dice.random() < 0.5:
                yield f"rows({dice.randint(1, 4)})"
        yield from self.end()

    def end(self):
        dice = self.dice
        if dice.random() < 0.1:
            yield dice.choice(("at_exit()", "when_uncaught()", 'daemon_thread("daemon")'))
        if dice.random() < 0.1:
            yield "finishes_on_sigterm()"
            yield 'leave("terminate")'
        if dice.random() < 0.4:
            yield dice.choice(("finish()", "finish(exit_code=2)"))
        yield f'leave("{dice.choice(LAST)}")'

    def plain(self):
        first = self.dice.choice((None, None, 0, 3, 10))
        # A key of its own where native may drop values: its summary then is what it has kept, and
        # with the hook the newest by training step, as promised.
        key = "loss" if first is None else "score"
        yield f"rows({self.dice.randint(1, 30)}, {first}, {key}={self.dice.random():.3})"

    def odd(self):
        dice = self.dice
        step = f", step={dice.choice(STEPS)}" if dice.random() < 0.15 else ""
        step += ", commit=False" if dice.random() < 0.05 else ""
        key = dice.choice(KEYS) if dice.random() < 0.3 else "'odd'"
        yield f"row({{{key}: {dice.choice(VALUES)}}}{step})"
        if dice.random() < 0.2:
            yield f"whole({dice.choice(WHOLE)})"

    def wandb(self):
        yield self.dice.choice((
            'define("loss", summary="min")', 'define("odd", step_metric="n")',
            'define("*", step_metric="epoch", step_sync=True)', 'summary("loss")',
            'summary("best")', 'write("best", 3)', f'begin(mode="{self.mode}", reinit=True)',
            f'begin(mode="{self.mode}", reinit="create_new")', "finish()",
        ))  # fmt: skip

    def children(self):
        dice, name = self.dice, next(self.names)
        count = dice.randint(1, 5)
        yield dice.choice((
            f'fork("{name}", {count}, "{dice.choice(ENDS[1:])}")',
            f'fork("{name}", {count}, "os._exit")',
            f'multiprocess("{name}", "fork", {count}, {dice.random() < 0.5})',
            f'threads("{name}", {dice.randint(1, 60)})',
        ))  # fmt: skip

    def programs(self):
        dice, name = self.dice, next(self.names)
        method = dice.choice(("spawn", "forkserver"))
        end = dice.choice(ENDS)
        yield dice.choice((
            f'multiprocess("{name}", "{method}", 3, {dice.random() < 0.5})',
            f'another_program("{name}", 3, "{end}")',
            f'become_program("{name}", 3, "{end}")',
        ))  # fmt: skip

    def code(self):
        """Code that comes in the middle of a call."""
        dice = self.dice
        how, depth = dice.choice(("trace", "signal")), dice.choice((15, 25, 40, 60, 100))
        only = "" if self.mode == "disabled" else "primus_lens"
        choices = [f'traced({dice.randint(1, 70)}, "{how}", "{only}")'] * 3
        choices += [f'signalled({dice.randint(1, 60)}, "primus_lens")', "handler_logs(3)"]
        if self.mode == "disabled":
            choices += [f"preempted({dice.randint(0, 999)}, 30)"] * 2
            choices += [f"finalized({dice.randint(5, 30)})", f"deep({depth})"]
        yield dice.choice(choices)

    def files(self):
        """Descriptors, and the life's own files."""
        dice, name = self.dice, next(self.names)
        steal = dice.choice((
            "close_all()", f"close_some({dice.randint(0, 999)})", "close_records()",
            f'dup_over("{name}", {dice.randint(0, 999)})', "use_up()",
            f"limit_file_size({dice.choice((4096, 60000))}, {dice.random() < 0.3})",
            f'lose_stdio("{dice.choice(("None", "closed", "numbers"))}")',
        ))  # fmt: skip
        before, after = [f'file_opens("{name}")'], [f'file_writes("{name}", 40)', "rows(2)"]
        if dice.random() < 0.5 and not steal.startswith("dup"):
            before, after = [], [*before, *after]
        yield from [*before, steal, *after, *(["rows(2)", "relieve()"] * (steal == "use_up()"))]
        yield from [f'file_writes("{name}", 3)', f'file_closes("{name}")'][: dice.randint(0, 2)]
        if dice.random() < 0.3:
            yield f"write_raw({dice.choice((1, 2, 2))})"

    def closed_records(self):
        """The record's number is free, and taken by something else."""
        name, kind = next(self.names), self.dice.choice(("unlinked", "pipe", "socket"))
        yield "close_records()"
        if self.dice.random() < 0.6:
            yield from (f'holds("{name}", "{kind}")', "rows(2)")
            if self.dice.random() < 0.2:  # until the hook looks at its file: dear
                yield from ("wait(1.1)", "rows(1)")
            yield f'still_holds("{name}")'

    def records(self):
        """What others do to the output path."""
        choices = [
            "user_file_in_records()", "records_move()", "change_mode(0)", "change_mode(0o555)",
            "umask(0o777)", 'chdir("elsewhere")', "freeze_clock(1.5e9)", "freeze_clock(0)",
        ]  # fmt: skip
        kinds = ("file for directory", "link", "dangling link", "directory", "pipe")
        choices += [f'put_in_place("{self.dice.choice(kinds)}")', "records_vanish()"]
        if self.place in places.LOSES:  # natively there is room for the user's files too
            choices = choices[3:-2]
        choices += ["change_user()"] if self.mode == "disabled" else []
        chosen = self.dice.choice(choices)
        if chosen == "change_user()":  # who then may not touch what the hook has made before
            self.kinds = [kind for kind in self.kinds if kind != self.records]
        yield chosen

    def disk(self):
        yield from self.dice.choice(DISKS[self.place])


DISKS = {
    "small disk": [
        ("disk_fills()", "rows(5)"),
        ("disk_fills()", "rows(5)", "disk_frees()"),
        ("row({'x': 'y' * 30000})", "rows(3)"),
    ],
    "read-only": [("read_only(1)", "rows(2)"), ("read_only(0)", "rows(2)")],
    "ext4": [("freeze(0.7)", "rows(3)")],
    "fuse": [
        ("daemon_stops()", "rows(9)"),
        ("daemon_stops()", "rows(9)", "daemon_continues()", "rows(1)"),
    ],
}
