# SPDX-License-Identifier: Apache-2.0
"""A board as somebody looks at it: its variables have values, its panels have data."""

import copy
import dataclasses
import json

from support.boards import grafana
from support.chart import charting

BOARDS = {path.stem: path for path in sorted((charting.CHART / "dashboards").glob("*.json"))}
RANGE, STEP = 3600, 15
SCRAPE_INTERVAL = 30


@dataclasses.dataclass(frozen=True, eq=False)
class Query:
    """One query of a panel, of an annotation, or of a variable."""

    board: str
    panel: str
    ref: str
    target: dict
    repeat: str = ""

    def __str__(self):
        return f"{self.board}: {self.panel} {self.ref}".replace("/", "-")


def panels(document):
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries(name):
    """All of one board, as it is written."""
    document = json.loads(BOARDS[name].read_text())
    for panel in panels(document):
        for target in panel.get("targets", ()):
            if target.get("expr"):
                yield Query(
                    name, panel["title"], target["refId"], target, panel.get("repeat") or ""
                )
    for each in document["annotations"]["list"]:
        if each.get("expr"):
            yield Query(name, f"annotation {each['name']}", "", each)


class Viewed:
    """A board on a Prometheus; `chosen` are values of variables that are not All."""

    def __init__(self, name, database, now, **chosen):
        self.database, self.now = database, now
        self.variables = grafana.builtin(RANGE, STEP, SCRAPE_INTERVAL)
        document = json.loads(BOARDS[name].read_text())
        for each in document["templating"]["list"]:
            self.variables[each["name"]] = self._variable(each, chosen.get(each["name"]))

    def _variable(self, each, wanted):
        if each["type"] == "datasource":
            return grafana.Variable("uid")
        if each["type"] != "query":
            return grafana.Variable(wanted or each["query"])
        multi, include_all = each.get("multi", False), each.get("includeAll", False)
        options = grafana.chosen(self._found(each["query"]), each.get("regex"))
        value = [wanted] if wanted else grafana.ALL
        if not include_all:
            value = wanted or (options or [""])[0]
        return grafana.Variable(value, options, multi, include_all, each.get("allValue") or "")

    def _found(self, query):
        text = query if isinstance(query, str) else query["query"]
        text = grafana.interpolated(text, self.variables)
        start = self.now - RANGE
        if match := grafana.LABEL_VALUES.fullmatch(text):
            return self.database.label_values(match[2], start, self.now, match[1])
        match = grafana.QUERY_RESULT.fullmatch(text)
        result = self.database.query(match[1], self.now)
        return [grafana.result_text(labels, value, self.now) for labels, value in result]

    def expressions(self, query):
        """What is asked for a query: several where its panel is repeated."""
        variables = copy.copy(self.variables)
        if not query.repeat:
            return [grafana.interpolated(query.target["expr"], variables)]
        of = variables[query.repeat]
        values = of.options if of.value == grafana.ALL else of.value
        return [
            grafana.interpolated(
                query.target["expr"],
                variables | {query.repeat: grafana.Variable([value], [], multi=True)},
            )
            for value in values
        ]

    def series(self, query):
        """The labels of every series that the query returns."""
        found = []
        for expression in self.expressions(query):
            if query.target.get("instant"):
                result = self.database.query(expression, self.now)
            else:
                start = self.now - RANGE
                result = self.database.query_range(expression, start, self.now, STEP)
            found += [labels for labels, _ in result]
        return found
