# SPDX-License-Identifier: Apache-2.0
"""What Prometheus does with a target, at a time of our choice: the page's series with the
target's labels, `up`, and the ends of those that were there before.
"""

import urllib.request
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from support.boards.database import STALE


class Target(NamedTuple):
    """Where a page is, and what Prometheus is told of it."""

    job: str
    instance: str
    url: str
    labels: dict = {}
    honor_labels: bool = True
    past: bool = True
    """Whether what it says can be taken for what it said earlier."""

    def config(self):
        """The same as a scrape configuration."""
        address, _, path = self.url.removeprefix("http://").partition("/")
        labels = {"instance": self.instance, **self.labels}
        return {
            "job_name": f"{self.job}/{self.instance}",
            "honor_labels": self.honor_labels,
            "metrics_path": f"/{path}",
            "static_configs": [{"targets": [address], "labels": labels}],
            "relabel_configs": [{"target_label": "job", "replacement": self.job}],
        }

    def page(self):
        """The text, or None where it cannot be had."""
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None


class Scraper:
    """One target's; remembers what there was at the last time."""

    def __init__(self, target):
        self.target = target
        self.before = frozenset()
        self.labels = {}
        self.own = {"job": target.job, "instance": target.instance, **target.labels}

    def scrape(self, page):
        """{labels: value} of a page, or of a target that is down."""
        lines = (line for line in (page or "").splitlines() if line and not line.startswith("#"))
        parted = (line.rpartition(" ") for line in lines)
        found = {self._labels(series): float(value) for series, _, value in parted}
        ended = self.before - found.keys()
        self.before = frozenset(found)
        up = tuple({"__name__": "up", **self.own}.items())
        return dict.fromkeys(ended, STALE) | found | {up: float(page is not None)}

    def _labels(self, series):
        """Parsed once, since each page has almost the same series."""
        if series not in self.labels:
            (family,) = text_string_to_metric_families(f"{series} 1\n")
            ((name, labels, *_),) = family.samples
            self.labels[series] = tuple({"__name__": name, **self._merged(labels)}.items())
        return self.labels[series]

    def _merged(self, labels):
        """As `honor_labels` says; an empty label is none."""
        if self.target.honor_labels:
            merged = {**self.own, **labels}
        else:
            moved = {f"exported_{k}" if k in self.own else k: v for k, v in labels.items()}
            merged = {**moved, **self.own}
        return {name: value for name, value in merged.items() if value}
