# SPDX-License-Identifier: Apache-2.0
"""The state of the screen: what is shown, and how a key changes it. It knows no terminal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from primus_lens_exporter.live.schema import Run, Snapshot

# What is equal is ordered by name, and recent is whoever logged within the same minute: rows
# that change places all the time cannot be read.
ORDERS: dict[str, Callable[[Run, float], float]] = {
    "recent": lambda run, now: max(0.0, now - run.last_record) // 60,
    "name": lambda _run, _now: 0,
    "step": lambda run, _: -run.step if isinstance(run.step, float) else math.inf,
    "speed": lambda run, _: -(run.steps_per_second or 0.0),
    "hints": lambda run, _: -len(run.hints),
}
FAR = 1 << 30
MOVES = {"up": -1, "k": -1, "down": 1, "j": 1, "home": -FAR, "end": FAR}
PAGES = {"pageup": -1, "pagedown": 1}


@dataclasses.dataclass
class Model:
    """All that the screen shows."""

    snapshot: Snapshot
    seen: float
    """When the snapshot came, in Unix seconds of this machine's clock."""

    trouble: str = ""
    """Why there is no newer one; "" while there is."""

    run_id: str = ""
    rank_id: str = ""
    """What was chosen last; it may have gone, then the first is."""

    inside: bool = False
    """Whether the ranks of the chosen run are shown."""

    filter: str = ""
    typing: bool = False
    order: str = "recent"
    paused: bool = False
    helping: bool = False
    page: int = 10
    """Rows that fit on the screen, as it was drawn last."""

    def runs(self) -> list[Run]:
        """Those that the filter lets through, in order."""
        order, now = ORDERS[self.order], self.snapshot.now
        wanted = self.filter.casefold()
        found = (run for run in self.snapshot.runs if wanted in _names(run))
        return sorted(found, key=lambda run: (order(run, now), run.title, run.id))

    def run(self) -> Run | None:
        """The chosen one; None when there is none, or its ranks are shown and it has gone."""
        runs = self.snapshot.runs if self.inside else self.runs()
        chosen = [run for run in runs if run.id == self.run_id]
        return chosen[0] if chosen else runs[0] if runs and not self.inside else None

    def ids(self) -> list[str]:
        """What one can choose from: runs, or ranks of the chosen run."""
        if not self.inside:
            return [run.id for run in self.runs()]
        run = self.run()
        return [rank.id for rank in run.ranks] if run else []

    def place(self) -> int:
        """Of the chosen row among them."""
        ids, chosen = self.ids(), self.rank_id if self.inside else self.run_id
        return ids.index(chosen) if chosen in ids else 0

    def press(self, key: str) -> bool:
        """Do what a key says; returns whether it says to end."""
        if self.helping:
            self.helping = False
        elif self.typing:
            self._type(key)
        elif key == "q":
            return True
        elif key in MOVES:
            self._move(MOVES[key])
        elif key in PAGES:
            self._move(PAGES[key] * self.page)
        else:
            self._act(key)
        return False

    def _act(self, key: str) -> None:
        match key:
            case "enter" if not self.inside and (run := self.run()):
                self.inside, self.run_id, self.rank_id = True, run.id, ""
            case "escape" if self.inside:
                self.inside = False
            case "escape":
                self.filter = ""
            case "/" if not self.inside:
                self.typing = True
            case "s" if not self.inside:
                orders = list(ORDERS)
                self.order = orders[(orders.index(self.order) + 1) % len(orders)]
            case "p":
                self.paused = not self.paused
            case "?":
                self.helping = True

    def _type(self, key: str) -> None:
        if key in ("enter", "escape"):
            self.typing = False
        if key == "escape":
            self.filter = ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1:
            self.filter += key

    def _move(self, by: int) -> None:
        ids = self.ids()
        if not ids:
            return
        chosen = ids[min(len(ids) - 1, max(0, self.place() + by))]
        if self.inside:
            self.rank_id = chosen
        else:
            self.run_id = chosen


def _names(run: Run) -> str:
    """All that a filter may mean, in one text."""
    names = (run.title, run.run_id, run.entity, run.group, run.namespace, run.workload)
    return "\n".join(names).casefold()
