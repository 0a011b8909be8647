# SPDX-License-Identifier: Apache-2.0
import pytest

from support.boards import grafana
from support.boards.grafana import ALL, Variable

pytestmark = pytest.mark.exhaustive

CHOSEN = {
    "one": Variable("a.b"),
    "many": Variable(["a.b", "c|d"], multi=True),
    "single": Variable(["it's"], multi=True),
    "all": Variable(ALL, ["x", "y+z"], multi=True, include_all=True),
    "anything": Variable([ALL], ["x"], multi=True, include_all=True, all_value=".*"),
    **grafana.builtin(3600, 15, 30),
}


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{a="$one"}', '{a="a.b"}'),
        ('{a=~"$many"}', r'{a=~"(a\\.b|c\\|d)"}'),
        ('{a=~"${single}"}', r"""{a=~"it\\'s"}"""),
        ('{a=~"[[all]]"}', r'{a=~"(x|y\\+z)"}'),
        ('{a=~"$anything"}', '{a=~".*"}'),
        ("${many:regex}", r"(a\.b|c\|d)"),
        ("${many:pipe} ${many:csv}", "a.b|c|d a.b,c|d"),
        ("${many:raw} ${one:raw}", "{a.b,c|d} a.b"),
        ("rate(x[$__rate_interval])", "rate(x[120s])"),
        ("x[$__range] $__interval ${__range_s}", "x[3600s] 15s 3600"),
        ('label_replace(x, "a", "$1", "b", "(.+)")', 'label_replace(x, "a", "$1", "b", "(.+)")'),
    ],
)
def test_a_text_is_sent_as_grafana_sends_it(text, sent):
    assert grafana.interpolated(text, CHOSEN) == sent


@pytest.mark.parametrize(
    ("regex", "options"),
    [
        ("", ['{a="1",b="x y"} 1', '{a="2",b=""} 1']),
        ('/a="([^"]+)"/', ["1", "2"]),
        ('/a="(?<value>.)",b="(?<text>.+)"}/', ["1"]),
        ("/x y/", ["x y"]),
    ],
)
def test_options_are_what_the_pattern_of_a_variable_makes(regex, options):
    found = ['{a="1",b="x y"} 1', '{a="2",b=""} 1', '{a="1",b="x y"} 1']
    assert grafana.chosen(found, regex) == options


def test_a_result_is_written_as_grafana_writes_it():
    labels = {"__name__": "m", "b": 'q"', "a": "1"}
    assert grafana.result_text(labels, 2.5, 3.0) == 'm{a="1",b="q""} 2.5 3000'
