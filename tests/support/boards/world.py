# SPDX-License-Identifier: Apache-2.0
"""A world: trainings that are played into real files, real exporters that read them, and a real
Prometheus that has it all, for rules and boards to be asked of.

The past, eighty minutes of it, is played in about half a minute. Every thirty seconds of it the
records up to then are written, each target's page is taken when the exporters have read them, and
it is written to Prometheus as a scrape of that time; every minute the rules are evaluated there,
by Prometheus. Then Prometheus is started again on that past, and scrapes the same targets and
evaluates the same rules itself, for some seconds. What is asked afterwards is asked of `now`, the
end of these seconds: it holds what a Prometheus holds that has been there all along.

Why not otherwise: scraping alone would need windows and thresholds a hundred times shorter than
those of the rules, which would be others then; blocks that promtool makes of OpenMetrics know no
ends of series, on which half of the rules depend, and it cannot make alerts.
"""

import os
import struct
import time

from support.boards.database import Database
from support.boards.evaluating import Evaluator
from support.boards.scraping import Scraper
from support.serving import Exporter, until

CLOCK = os.path.join(os.path.dirname(__file__), "clock")
STEP = 30.0
PAST = 80 * 60.0
PLAYING = 30.0  # seconds that making and playing it takes, more or less
READ = "primus_lens_exporter_lines_total{"
LONGEST = 150.0  # what begins minutes before the end must not be too old by now
GONE_SECONDS = 60.0  # the exporter's own grace is shortened for it


class Clock:
    """What the exporters think the time is; 0: what it is."""

    def __init__(self, path):
        self.path = path
        self.set(0.0)

    def set(self, at):
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as file:
            file.write(struct.pack("d", at))

    def environ(self, tick=0.02):
        return {"WORLD_CLOCK": str(self.path), "WORLD_TICK": str(tick), "PYTHONPATH": CLOCK}


class World:
    """`end` is when the past is over; `now` is when all is over."""

    def __init__(self, directory, past=PAST, playing=PLAYING):
        self.directory = directory
        self.clock = Clock(directory / "clock")
        self.end = time.time() + playing
        self.start = self.end - past
        self.clock.set(self.start)  # what was logged before an exporter's start is not counted
        self.now = 0.0
        self.left = past / 60
        self.database = Database(directory / "prometheus")
        self.targets = []
        self.ranks = {}
        """By the exporter that reads them."""
        self.events = []
        """(minutes left, what happens then)"""

    def exporter(self, root, *flags, tick=0.02, **environ):
        environ |= self.clock.environ(tick)
        return Exporter(root, *flags, "--series.grace-seconds", "1", environ=environ)

    def play(self, rules):
        """The past, and then some seconds of the present."""
        scrapers = [Scraper(target) for target in self.targets if target.past]
        with self.database:
            evaluator = Evaluator(self.database, rules)
            for number in range(round((self.end - self.start) / STEP) + 1):
                self._step(self.start + number * STEP, scrapers)
                if number % 2 == 0:
                    evaluator.evaluate(self.start + number * STEP)
            self._live(rules)
            yield self

    def _step(self, at, scrapers):
        self.clock.set(at)
        self.left = (self.end - at) / 60
        while self.events and self.events[0][0] >= self.left:
            self.events.pop(0)[1]()
        pages = self._read(at)
        samples = {}
        for scraper in scrapers:
            page = pages.get(scraper.target.url) or scraper.target.page()
            samples |= scraper.scrape(page)
        self.database.write(at, samples)

    def _read(self, at):
        """The pages of the exporters when all is read that is there."""
        written = {
            exporter: sum(rank.advance(at) for rank in ranks)
            for exporter, ranks in self.ranks.items()
        }
        over = [
            f'run_id="{rank.id}"'
            for ranks in self.ranks.values()
            for rank in ranks
            if rank.finished and at > rank.last + GONE_SECONDS
        ]

        return {
            f"{exporter.url}/metrics": read(exporter, lines, over)
            for exporter, lines in written.items()
        }

    def _live(self, rules):
        time.sleep(max(0.0, self.end - time.time()))
        self.clock.set(0.0)
        self.database.begin(
            {
                # Not shorter: a scrape may take as long, and one that fails ends all series.
                "global": {"scrape_interval": "3s", "evaluation_interval": "1s"},
                "rule_files": [str(rules)],
                "scrape_configs": [target.config() for target in self.targets],
            }
        )
        began = time.time()
        up = sum(target.page() is not None for target in self.targets)
        self.now = until(lambda: self._seen(began, up), 60)
        self.database.freeze()
        assert self.now - self.end < LONGEST, "a machine so slow that faults have become others"

    def _seen(self, began, up):
        """The time, when each target has been scraped a few times, and none ever in vain."""
        now = time.time()
        for ranks in self.ranks.values():
            for rank in ranks:
                rank.advance(now)
        window = f"{int(now - began) + 1}s"
        often = f"count_over_time(up[{window}]) > 2"
        scraped = self.database.query(often, now)
        whole = self.database.query(f"min_over_time(up[{window}]) == 1 and {often}", now)
        return len(scraped) == len(self.targets) and len(whole) == up and now


def read(exporter, lines, over):
    """The page on which so many lines are counted, and nothing is left of what is over."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        page = exporter.page()
        there = page.splitlines()
        count = sum(float(each.split()[-1]) for each in there if each.startswith(READ))
        if count == lines and not any(each in page for each in over):
            return page
        time.sleep(0.005)  # `until` waits ten times as long
    raise AssertionError(f"{count} of {lines} lines read, or {over} still there")
