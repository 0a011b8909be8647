# SPDX-License-Identifier: Apache-2.0
"""What a run and a rank look like as rows of a table. Everything here is harmless text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from primus_lens_exporter.live.schema import Headline, Hint, Rank, Run
from primus_lens_exporter.model.loss import LOSS
from primus_lens_exporter.top import text
from primus_lens_exporter.top.columns import Column

SPARK_CELLS = 12
BAD, WARNING = "bold red", "yellow"
# The words say what the colours say; worst first.
HINTS = {
    "loss_not_finite": ("NaN/Inf", BAD),
    "training_stalled": ("stalled", BAD),
    "loss_spike": ("spike", WARNING),
    "rank_straggler": ("slow", WARNING),
}


def runs(shown: Sequence[Run], now: float) -> list[Column[Run]]:
    """The columns for these runs."""

    def conflicts(run: Run) -> Text:
        count = (run.step_fix or {}).get("conflicts")
        return Text(f"{count:,}" if count else "")

    def speed(run: Run) -> Text:
        return Text("ended" if run.finished else text.rate(run.steps_per_second))

    title = _value_title(run.headline for run in shown)
    return [
        Column("run", 12, lambda run: Text(text.harmless(run.title), _faded(run)), 14),
        Column("namespace", 4, lambda run: Text(text.harmless(run.namespace)), 8),
        Column("workload", 3, lambda run: Text(text.harmless(run.workload)), 8),
        Column("step", 10, lambda run: Text(text.step(run.step)), right=True),
        Column("steps/s", 6, speed, right=True),
        Column(title, 9, lambda run: _value(run.headline), 9, right=True),
        Column("", 7, lambda run: Text(text.spark(run.spark, SPARK_CELLS))),
        Column("key", 1, lambda run: _key(run.headline), 8),
        Column("age", 8, lambda run: _age(now, run.last_record), right=True),
        Column("ranks", 5, lambda run: Text(f"{len(run.ranks)}"), right=True),
        Column("conflicts", 2, conflicts, right=True),
        Column("hints", 11, lambda run: hints(run.hints), 13),
    ]


def ranks(run: Run, now: float) -> list[Column[Rank]]:
    """The columns for the ranks of a run."""
    front = max((each.step for each in run.ranks if isinstance(each.step, float)), default=0.0)

    def behind(rank: Rank) -> Text:
        return Text(text.step(front - rank.step) if isinstance(rank.step, float) else "")

    def its_hints(rank: Rank) -> Text:
        return hints(each for each in run.hints if rank.id in each.rank_ids)

    title = _value_title(rank.headline for rank in run.ranks)
    return [
        Column("rank", 12, lambda rank: Text(text.harmless(place(rank))), 5),
        Column("pod", 5, lambda rank: Text(text.harmless(rank.pod)), 8),
        Column("container", 2, lambda rank: Text(text.harmless(rank.container)), 8),
        Column("node", 4, lambda rank: Text(text.harmless(rank.node)), 6),
        Column("step", 10, lambda rank: Text(text.step(rank.step)), right=True),
        Column("behind", 7, behind, right=True),
        Column("steps/s", 6, lambda rank: Text(text.rate(rank.steps_per_second)), right=True),
        Column(title, 9, lambda rank: _value(rank.headline), 9, right=True),
        Column("key", 1, lambda rank: _key(rank.headline), 8),
        Column("age", 8, lambda rank: _age(now, rank.last_record), right=True),
        Column("records", 3, lambda rank: Text(f"{rank.records:,}"), right=True),
        Column("hints", 11, its_hints, 13),
    ]


def place(rank: Rank) -> str:
    """Node and rank on it, as people write them; as they came."""
    return f"{rank.node_rank}/{rank.local_rank}"


def hints(found: Iterable[Hint]) -> Text:
    """All of them in a few words, in the colour of the worst."""
    kinds = sorted({hint.kind for hint in found}, key=_severity)
    words = [HINTS.get(kind, (text.harmless(kind), WARNING))[0] for kind in kinds]
    return Text("! " + ", ".join(words), hint_style(kinds[0])) if kinds else Text()


def hint_style(kind: str) -> str:
    """The colour of a hint; those that a newer exporter has are warnings."""
    return HINTS.get(kind, ("", WARNING))[1]


def _severity(kind: str) -> int:
    return list(HINTS).index(kind) if kind in HINTS else len(HINTS)


def _value_title(shown: Iterable[Headline | None]) -> str:
    """A column of losses is called so; one that holds anything else must not be."""
    return "loss" if all(LOSS.fullmatch(each.key) for each in shown if each) else "value"


def _key(headline: Headline | None) -> Text:
    return Text(text.harmless(headline.key) if headline else "")


def _value(headline: Headline | None) -> Text:
    if headline is None:
        return Text()
    return Text(text.value(headline.value), "" if isinstance(headline.value, float) else BAD)


def _age(now: float, last_record: float) -> Text:
    return Text(text.age(now - last_record) if last_record else "")


def _faded(run: Run) -> str:
    return "dim" if run.finished else ""
