# SPDX-License-Identifier: Apache-2.0
"""Every query of every board, as Grafana sends it, where everything is there, and nothing."""

import functools
import re

import pytest

from support.boards import board
from support.boards.runs import CLEAN, FAULTY

NAMES = list(board.BOARDS)
QUERIES = [query for name in NAMES for query in board.queries(name)]
pytestmark = [pytest.mark.exhaustive, pytest.mark.xdist_group("worlds")]
each_query = pytest.mark.parametrize("query", QUERIES, ids=str)
THERE_WERE = {run.id: run for run in (*CLEAN, *FAULTY)}
# Of hardware that the machine of a test need not have.
RARE = "node_infiniband_"
# What there is only with another exporter, or with Kubernetes.
FOREIGN = (
    r"(?<![\w:])(DCGM_|gpu_[a-z_]+\{|node_[a-z]+_|kube_|apiserver_"
    r"|primus_lens:(gpu_(tensor|dcgm|amd)|node_cpu))"
)
OF_A_CLUSTER = r"primus_lens_(webhook_|exporter_(kubernetes|pods|pod_silent|remote_write))"


@functools.cache
def viewed(world, name, **chosen):
    return board.Viewed(name, world.database, world.now, **chosen)


@functools.cache
def series(world, query, **chosen):
    """Each by its labels, of which Grafana shows those without a meaning too."""
    found = viewed(world, query.board, **chosen).series(query)
    return {frozenset(labels.items()) for labels in found}


@each_query
def test_a_query_returns_data_where_everything_is_there(world, query):
    assert series(world, query) or RARE in query.target["expr"]


# Boards say of these that they are of everything.
OF_ALL = {"Alerts that fire"}
CHOICES = {
    "run": ("healthy", "idle", "slow", "conflicts"),
    "namespace": ("research", "vision"),
    "rank": ("0/3", "1/1"),
    "pod": ("missing-1",),
}
each_choice = pytest.mark.parametrize(
    ("variable", "value"), [(name, value) for name, values in CHOICES.items() for value in values]
)


def belongs(labels, variable, value):
    """Whether a series is of what was chosen; None where its labels do not say it."""
    labels = dict(labels)
    if variable == "run":
        return labels.get("run_id", value) == value if "run_id" in labels else None
    if variable == "rank":
        ranks = labels.get("node_rank"), labels.get("local_rank")
        return "/".join(ranks) == value if all(ranks) else None
    return labels[variable] == value if variable in labels else None


@each_choice
@pytest.mark.parametrize("name", [name for name in NAMES if "health" not in name])
def test_what_is_chosen_is_shown_and_nothing_else(world, name, variable, value):
    for query in (each for each in QUERIES if each.board == name and each.panel not in OF_ALL):
        everything, shown = series(world, query), series(world, query, **{variable: value})
        told = {each for each in everything if belongs(each, variable, value)}
        assert {each for each in shown if belongs(each, variable, value) is False} == set(), query
        assert told - shown == set(), query


@pytest.mark.parametrize("name", NAMES)
def test_variables_offer_what_there_is(world, name):
    offered = {key: each.options for key, each in viewed(world, name).variables.items()}
    assert {*offered["namespace"]} == {"research", "vision", "team"}
    assert {*THERE_WERE} - {"restarted"} <= {*offered["workload"]}
    assert {*THERE_WERE} - {"odd"} <= {*offered["run"]}
    assert {"healthy-0", "healthy-1", "idle-0"} <= {*offered["pod"]}
    assert {*offered["rank"]} == {"0/0", "0/1", "0/2", "0/3", "1/0", "1/1"}


def named(world, name, title, label="run_id"):
    """Who is in a panel or an annotation."""
    found = [query for query in QUERIES if (query.board, query.panel) == (name, title)]
    assert found
    return {dict(labels).get(label) for query in found for labels in series(world, query)}


ANNOTATED = [
    ("Restarts", "pod", {"killed-0", "resumed-0"}),
    ("Step went back", "run_id", {"resumed"}),
    ("Not finite", "run_id", {"nan"}),
    ("Step conflicts", "run_id", {"conflicts"}),
]


@pytest.mark.parametrize(("title", "label", "who"), ANNOTATED)
def test_an_annotation_is_of_those_to_whom_it_happened(world, title, label, who):
    assert named(world, "primus-lens-run", f"annotation {title}", label) == who


@pytest.mark.parametrize(
    ("name", "title", "label", "who"),
    [
        ("ranks", "Stragglers", "run_id", {None, "missing", "straggler"}),
        ("ranks", "Missing ranks", "rank", {"1/0", "1/1"}),
        ("ranks", "Missing ranks", "run_id", {"missing"}),
        ("hardware", "Tensor cores", "run_id", {"healthy", "idle"}),
        ("health", "Injected, but silent", "pod", {"silent", "healthy-2"}),
        ("run", "Model FLOPs utilization", "run_id", {"nan", "idle", "slow", "spike", "conflicts"}),
    ],
)
def test_a_panel_is_of_those_that_it_is_about(world, name, title, label, who):
    assert named(world, f"primus-lens-{name}", title, label) == who


RUNS, RANKS, HEALTH = "primus-lens-runs", "primus-lens-ranks", "primus-lens-health"


@pytest.mark.parametrize(
    ("name", "title", "chosen", "value"),
    [
        (RUNS, "Runs", {"run": "healthy"}, 1),
        (RUNS, "Runs", {"workload": "killed"}, 2),
        (RUNS, "Ranks", {"run": "healthy"}, 4),
        (RUNS, "Silent runs", {}, 1),
        (RUNS, "Silent runs", {"run": "killed"}, 0),
        (RUNS, "Exporters", {}, 3),
        (RANKS, "Missing", {}, 2),
        (RANKS, "Missing", {"run": "straggler"}, 0),
        (RANKS, "Stragglers", {}, 3),
        (RANKS, "Stragglers", {"rank": "1/1"}, 2),
        (HEALTH, "Down", {}, 1),
        (HEALTH, "CA bundle", {}, 0),
        (HEALTH, "Failing open", {}, 2),
    ],
)
def test_a_number_is_right(world, name, title, chosen, value):
    found = [each for each in QUERIES if (each.board, each.panel) == (name, title)]
    (query,) = (each for each in found if each.target.get("instant"))
    (expression,) = viewed(world, name, **chosen).expressions(query)
    assert [each for _, each in world.database.query(expression, world.now)] == [value]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_run_or_key_breaks_nothing(world, name):
    variables = viewed(world, name).variables
    offered = [*variables["run"].options, *getattr(variables.get("key"), "options", ())]
    assert not [each for each in offered if '"' in each]


def test_each_key_has_a_panel_with_data(world):
    (query,) = (each for each in QUERIES if each.repeat == "key")
    assert "it's $1" in viewed(world, query.board).variables["key"].options
    for expression in viewed(world, query.board).expressions(query):
        assert world.database.query(expression, world.now), expression


# Where there is nothing but a directory.


@each_query
def test_without_anything_else_a_query_is_of_our_own_series_or_empty(bare, query):
    alternatives = re.split(r"\bor\b", query.target["expr"])
    absent = [re.search(f"{FOREIGN}|{OF_A_CLUSTER}", each) is not None for each in alternatives]
    assert bool(series(bare, query)) is not all(absent)
