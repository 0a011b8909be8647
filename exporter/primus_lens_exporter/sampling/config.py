# SPDX-License-Identifier: Apache-2.0
"""`--sampling.config.file`: the rules, checked as a whole before anything starts.

Every error is one line that names the file, the rule by its number, the word and what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from primus_lens_toolkit import yaml_text

from primus_lens_exporter.model import durations
from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.key_rules import Pattern
from primus_lens_exporter.sampling.rules import AGGREGATE, ALL, RANKS, Rule

WORDS = "the words are keys, every, at_most_once_per and ranks"
EXAMPLE = "begin with `rules:` and a list of rules; docs/sampling.md has an example"
EVERYTHING = ".*"


class SamplingError(ExporterError, ValueError):
    """The file cannot be used; one line for the user."""


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as it is written."""

    keys: Any = None
    every: Any = None
    at_most_once_per: Any = None
    ranks: Any = ALL


def load(path: Path) -> list[Rule]:
    """Read and check the file. Raises SamplingError."""
    try:
        return _rules(yaml_text.parse(path.read_bytes()))
    except OSError as error:
        raise SamplingError(f"{path}: {error.strerror}; make it a readable file") from None
    except RecursionError:  # an alias of what it is in
        raise SamplingError(f"{path}: not YAML") from None
    except ValueError as error:
        raise SamplingError(f"{path}: {error}") from None


def _rules(document: Any) -> list[Rule]:
    if not isinstance(document, dict) or document.keys() != {"rules"}:
        raise ValueError(EXAMPLE)
    if not isinstance(document["rules"], list) or not document["rules"]:
        raise ValueError(f"rules: expected a list of rules; {EXAMPLE}")
    rules: list[Rule] = []
    taken: dict[str, int] = {}
    for number, raw in enumerate(document["rules"], 1):
        try:
            rules.append(_rule(raw))
            _check_reachable(rules[-1], number, taken)
        except ValueError as error:  # msgspec's are ValueErrors
            raise ValueError(f"rule {number}: {error}") from None
    return rules


def _rule(raw: Any) -> Rule:
    try:
        written = msgspec.convert(raw, Written)
    except msgspec.ValidationError:
        words = raw.keys() - set(Written.__struct_fields__) if isinstance(raw, dict) else [raw]
        unknown = ", ".join(sorted(map(repr, words)))
        raise ValueError(f"{unknown} is not known; {WORDS}") from None
    rule = Rule(_patterns(written.keys), _every(written), _seconds(written), _ranks(written))
    if not rule.thins and rule.ranks == ALL:
        raise ValueError("it leaves nothing out; give every, at_most_once_per or ranks")
    if rule.every is not None and rule.seconds is not None:
        raise ValueError("every and at_most_once_per exclude each other; keep one of them")
    if rule.every is not None and rule.ranks == AGGREGATE:
        raise ValueError("every: ranks count for themselves; aggregates take at_most_once_per")
    return rule


def _patterns(keys: Any) -> tuple[Pattern, ...]:
    if not isinstance(keys, list) or not keys or not all(isinstance(each, str) for each in keys):
        raise ValueError("keys: expected a list of patterns such as [grad/.*]")
    if "" in keys:
        raise ValueError("keys: a pattern is empty; write .* for every key")
    try:
        return tuple(map(Pattern, keys))
    except ValueError as error:
        raise ValueError(f"keys: {error}") from None


def _every(written: Written) -> int | None:
    every = written.every
    if every is None:
        return None
    if type(every) is not int or every < 2:
        raise ValueError(f"every: expected a whole number above one, not {every!r}")
    return every


def _seconds(written: Written) -> float | None:
    text = written.at_most_once_per
    if text is None:
        return None
    try:
        return durations.seconds(text if isinstance(text, str) else "")
    except ValueError as error:
        raise ValueError(f"at_most_once_per: {error}, not {text!r}") from None


def _ranks(written: Written) -> str:
    if written.ranks not in RANKS:
        raise ValueError(f"ranks: expected one of {', '.join(RANKS)}, not {written.ranks!r}")
    return str(written.ranks)


def _check_reachable(rule: Rule, number: int, taken: dict[str, int]) -> None:
    """Raises ValueError for a pattern whose keys all have an earlier rule."""
    for pattern in map(str, rule.patterns):
        earlier = taken.get(pattern) or taken.get(EVERYTHING)
        if earlier is not None:
            raise ValueError(
                f"keys: {pattern!r} never gets here, as rule {earlier} takes its keys; "
                "remove one, or put the narrower first"
            )
        taken[pattern] = number
