# SPDX-License-Identifier: Apache-2.0
import jsonpatch
import pytest
import yaml
from primus_lens_webhook import decision
from primus_lens_webhook.decision import ALREADY, INJECTED, REASONS, SKIPPED
from primus_lens_webhook.mutate import mutate

from support.webhook import goldens

CASES = {path.stem: yaml.safe_load(path.read_text()) for path in goldens.PATHS}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_pod_becomes_what_the_golden_file_says(case):
    assert goldens.result(case) == (case["decision"], case["injected"])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_second_time_changes_nothing(case):
    first = mutate(case["pod"], goldens.settings(case))
    after = jsonpatch.JsonPatch(first.operations).apply(case["pod"])
    again = mutate(after, goldens.settings(case))
    assert again.operations == []
    if first.decision.decision == INJECTED:
        assert again.decision.reason == ALREADY
        assert again.decision.python_env == first.decision.python_env


def test_every_reason_but_those_of_reviews_has_a_case():
    seen = {case["decision"]["reason"] for case in CASES.values()}
    assert set(REASONS) - seen == {"unexpected"}


def test_every_reason_is_counted_from_the_start():
    named = {each for name, each in vars(decision).items() if name.isupper() and type(each) is str}
    assert named - {INJECTED, SKIPPED} == set(REASONS)
