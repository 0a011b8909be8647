# SPDX-License-Identifier: Apache-2.0
import pytest
from primus_lens_exporter.model.key_rules import Pattern
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.sampling.config import SamplingError, load
from primus_lens_exporter.sampling.rules import CACHED_KEYS, Rules


def loaded(tmp_path, text):
    path = tmp_path / "sampling.yaml"
    path.write_text(text)
    return load(path)


def test_the_first_rule_that_matches_holds(tmp_path):
    text = """
        rules:
          - {keys: [grad/.*, lr], every: 10}
          - {keys: [timing/.*], at_most_once_per: 5s}
          - {keys: [train/loss, grad/norm], ranks: aggregate, at_most_once_per: 500ms}
          - {keys: [gpu/.*], ranks: first}
    """
    rules = Rules(loaded(tmp_path, text), SeriesRules(keys_deny=Pattern("grad/debug")))
    found = {key: rules.of(key) for key in ("grad/norm", "timing/x", "train/loss", "gpu/0")}
    assert [(each.every, each.seconds, each.ranks) for each in found.values()] == [
        (10, None, "all"),
        (None, 5, "all"),
        (None, 0.5, "aggregate"),
        (None, None, "first"),
    ]
    assert [rules.of(key) for key in ("other", "xlr", "grad/debug", "_primus_sys_x")] == [None] * 4


def test_keys_that_are_known_are_bounded_in_number_and_length(tmp_path):
    rules = Rules(loaded(tmp_path, "rules: [{keys: ['.*'], every: 2}]"), SeriesRules())
    for number in range(2 * CACHED_KEYS + 5):
        assert rules.of(f"k{number}")
    assert rules.of("x" * 1000) is None
    assert len(rules._known) == 5


WRONG = [
    ("", "begin with `rules:`"),
    ("[]", "begin with `rules:`"),
    ("{rules: [], more: 1}", "begin with `rules:`"),
    ("rules: []", "rules: expected a list"),
    ("rules: {keys: [a]}", "rules: expected a list"),
    ("rules: [", "not YAML: .* in line 1"),
    ("rules: &a [*a]", "rule 1: "),
    ("rules: [{keys: [a], every: 2}]\nrules: []", "not YAML: .* second time in line 2"),
    ("rules: [{keys: [a], every: 2, every: 3}]", "not YAML: .* second time in line 1"),
    ("rules: [5]", "rule 1: 5 is not known; the words are keys, every"),
    ("rules: [{keys: [a], every: 2, evry: 3}]", "rule 1: 'evry' is not known; the words are"),
    ("rules: [{keys: [a], every: 2}, {7: 3}]", "rule 2: 7 is not known"),
    ("rules: [{every: 2}]", "rule 1: keys: expected a list of patterns such as"),
    ("rules: [{keys: a, every: 2}]", "rule 1: keys: expected a list"),
    ("rules: [{keys: [], every: 2}]", "rule 1: keys: expected a list"),
    ("rules: [{keys: [1], every: 2}]", "rule 1: keys: expected a list"),
    ("rules: [{keys: [''], every: 2}]", "rule 1: keys: a pattern is empty; write"),
    ("rules: [{keys: ['(a'], every: 2}]", "rule 1: keys: '.a' is no RE2 pattern"),
    ("rules: [{keys: ['a\n\n(b'], every: 2}]", "rule 1: keys: 'a.n.b' is no RE2 pattern"),
    ("rules: [{keys: [a]}]", "rule 1: it leaves nothing out; give every"),
    ("rules: [{keys: [a], ranks: all}]", "rule 1: it leaves nothing out"),
    ("rules: [{keys: [a], every: 1}]", "rule 1: every: expected a whole number above one, not 1"),
    ("rules: [{keys: [a], every: 0}]", "every: expected a whole number"),
    ("rules: [{keys: [a], every: -2}]", "every: expected a whole number"),
    ("rules: [{keys: [a], every: 2.5}]", "every: expected a whole number"),
    ("rules: [{keys: [a], every: true}]", "every: expected a whole number"),
    ("rules: [{keys: [a], every: '2'}]", "every: expected a whole number"),
    ("rules: [{keys: [a], at_most_once_per: 5}]", "at_most_once_per: expected a duration such"),
    ("rules: [{keys: [a], at_most_once_per: 0s}]", "at_most_once_per: expected a duration"),
    ("rules: [{keys: [a], at_most_once_per: -5s}]", "at_most_once_per: expected a duration"),
    ("rules: [{keys: [a], at_most_once_per: 5 s}]", "at_most_once_per: expected a duration"),
    ("rules: [{keys: [a], ranks: some}]", "ranks: expected one of all, first, aggregate, not"),
    ("rules: [{keys: [a], ranks: [all]}]", "ranks: expected one of"),
    ("rules: [{keys: [a], every: 2, at_most_once_per: 5s}]", "exclude each other; keep one"),
    ("rules: [{keys: [a], every: 2, ranks: aggregate}]", "aggregates take at_most_once_per"),
    ("rules: [{keys: [a, b, a], every: 2}]", "'a' never gets here, as rule 1 takes its keys"),
    ("rules: [{keys: [a], every: 2}, {keys: [b, a], every: 3}]", "rule 2: keys: 'a' never gets"),
    ("rules: [{keys: ['.*'], every: 2}, {keys: [b], every: 3}]", "rule 2: keys: 'b' never gets"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, said):
    with pytest.raises(SamplingError, match=f"sampling.yaml: .*{said}") as error:
        loaded(tmp_path, text)
    assert "\n" not in str(error.value)


def test_rules_may_have_what_others_have(tmp_path):
    text = "rules: [&first {keys: [a], every: 2}, {<<: *first, keys: [b]}, {<<: *first, keys: [c]}]"
    assert [rule.every for rule in loaded(tmp_path, text)] == [2, 2, 2]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SamplingError, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml")
