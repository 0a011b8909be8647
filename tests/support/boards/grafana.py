# SPDX-License-Identifier: Apache-2.0
"""What Grafana does between a board's JSON and the query that Prometheus gets. Pure.

- variables in texts, their formats, and All: `packages/grafana-data` and
  `public/app/features/templating` (templateSrv, formatVariableValue)
- how values are escaped where no format is named: Prometheus' data source, interpolateQueryExpr
- options of a variable: metricFindQuery of the same, and metricNamesToVariableValues
- `$__rate_interval` and its like: getRateIntervalScopedVariable

A value that is interpolated wrongly there is interpolated as wrongly here.
"""

import dataclasses
import json
import re

VARIABLE = re.compile(
    r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}", re.ASCII
)
LABEL_VALUES = re.compile(r"label_values\((?:(.+),\s*)?([a-zA-Z_$][a-zA-Z0-9_]*)\)\s*")
QUERY_RESULT = re.compile(r"query_result\((.+)\)\s*")
ALL = "$__all"


@dataclasses.dataclass
class Variable:
    """`value` is a list where several can be chosen, and ALL stands for all of them."""

    value: str | list
    options: list = ()
    multi: bool = False
    include_all: bool = False
    all_value: str = ""


def quoted(value):
    """prometheusRegularEscape"""
    return value.replace("\\", "\\\\").replace("'", "\\\\'")


def pattern(value):
    """prometheusSpecialRegexEscape: of a pattern within a string"""
    return re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\"))


def regex(value):
    """escapeRegex: of a pattern alone, which is no string of PromQL"""
    return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value)


def together(values, escape):
    escaped = [escape(value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


FORMATS = {
    "csv": ",".join,
    "doublequote": lambda values: ",".join('"' + v.replace('"', '\\"') + '"' for v in values),
    "json": json.dumps,
    "pipe": "|".join,
    "raw": lambda values: values[0] if len(values) == 1 else "{" + ",".join(values) + "}",
    "regex": lambda values: together(values, regex),
}


def of_prometheus(variable, values):
    """Where a text names no format: interpolateQueryExpr."""
    if not variable.multi and not variable.include_all:
        return quoted(values[0])
    return together(values, pattern)


def interpolated(text, variables):
    """The text with the values of variables; what is none stays. `variables`: by name."""

    def value_of(match):
        name = match[1] or match[2] or match[4]
        if name not in variables:
            return match[0]
        variable, form = variables[name], match[3] or match[6]
        if variable.value in (ALL, [ALL]):
            if variable.all_value:
                return interpolated(variable.all_value, variables)
            values = list(variable.options)
        else:
            values = variable.value if isinstance(variable.value, list) else [variable.value]
        return FORMATS[form](values) if form else of_prometheus(variable, values)

    return VARIABLE.sub(value_of, text)


def builtin(range_seconds, interval, scrape_interval):
    """`$__range` and its like, in seconds."""
    rate = max(interval + scrape_interval, 4 * scrape_interval)
    seconds = {"__range": range_seconds, "__interval": interval, "__rate_interval": rate}
    plain = {"__range_s": range_seconds, "__range_ms": range_seconds * 1000}
    named = {name: f"{value}s" for name, value in seconds.items()} | plain
    return {name: Variable(str(value)) for name, value in named.items()}


def chosen(found, pattern):
    """The options that a variable's `regex` makes of texts, without doubles."""
    if not pattern:
        return list(dict.fromkeys(found))
    body, _, flags = pattern.removeprefix("/").rpartition("/")
    assert not flags, "none is implemented"
    compiled = re.compile(re.sub(r"\(\?<(?=\w)", "(?P<", body))
    matches = [match for match in map(compiled.search, found) if match]
    return list(dict.fromkeys(map(_value, matches)))


def _value(match):
    named = match.groupdict()
    return named.get("value") or named.get("text") or (match[1] if match.re.groups else match[0])


def result_text(labels, value, at):
    """One of `query_result`, which the `regex` of the variable takes apart."""
    name = labels.get("__name__", "")
    inner = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels) if key != "__name__")
    return f"{name}{{{inner}}} {value:g} {at * 1000:.0f}"
