# SPDX-License-Identifier: Apache-2.0
"""What Prometheus does with rules, at times of our choice: each expression is asked of the
real Prometheus, and what its rule manager would make of the answer is written back.

That is the series of recording rules, and ALERTS and ALERTS_FOR_STATE of alerts, from which
a Prometheus that is started again knows since when an alert has been pending.
"""

import re

import yaml

from support.boards.database import STALE

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration):
    return sum(int(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+)([smhd])", duration))


class Evaluator:
    """All rules of one file."""

    def __init__(self, database, path):
        groups = yaml.safe_load(path.read_text())["groups"]
        self.rules = [rule for group in groups for rule in group["rules"]]
        self.database = database
        self.before = [{} for _ in self.rules]
        self.active = [{} for _ in self.rules]

    def evaluate(self, at):
        for number, rule in enumerate(self.rules):
            result = self.database.query(rule["expr"], at)
            make = self._alerts if "alert" in rule else self._record
            made = make(rule, result, at, self.active[number])
            ended = self.before[number].keys() - made.keys()
            if made or ended:
                self.database.write(at, dict.fromkeys(ended, STALE) | made)
            self.before[number] = made

    def _record(self, rule, result, at, active):
        return {labelled(labels, __name__=rule["record"]): value for labels, value in result}

    def _alerts(self, rule, result, at, active):
        made, there = {}, set()
        for labels, _ in result:
            about = {**rule["labels"], "alertname": rule["alert"]}
            key = labelled(labels, **about)
            there.add(key)
            since = active.setdefault(key, at)
            due = at - since >= seconds(rule.get("for", "0s"))
            state = "firing" if due else "pending"
            made[labelled(labels, **about, __name__="ALERTS", alertstate=state)] = 1.0
            made[labelled(labels, **about, __name__="ALERTS_FOR_STATE")] = float(int(since))
        for key in active.keys() - there:
            del active[key]
        return made


def labelled(labels, **more):
    named = {**labels, **more}
    return tuple(sorted(named.items()))
