# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.pod import Pod
from primus_lens_exporter.pods import decoder
from primus_lens_exporter.pods.cache import GRACE_SECONDS, MAX_GONE, PodCache
from primus_lens_exporter.pods.document import DEFAULT_CONTAINER, STATUS, NoPod, decode
from primus_lens_exporter.pods.series_labels import series_labels

from support.api_server import pod

FULL = pod("p", labels={"team": "a"})
FULL["metadata"]["ownerReferences"] = [
    {"apiVersion": "v1", "kind": "Other", "name": "o"},
    {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "llm", "controller": True},
]
FULL["spec"]["initContainers"] = [{"name": "init", "image": "i"}]
FULL["spec"]["containers"] = [{"name": "main", "ports": []}, {"name": "side"}]


def decoded(document, *allowed):
    return decode(json.dumps(document).encode(), allowed)


def test_what_is_kept_of_a_pod():
    assert decoded(FULL, "team", "absent") == Pod(
        uid="uid-of-p",
        namespace="team",
        name="p",
        node="n1",
        containers=("init", "main", "side"),
        container="main",
        workload="llm",
        workload_kind="PyTorchJob",
        labels=(("label_team", "a"),),
        injection="",
        running=0.0,
    )


@pytest.mark.parametrize(
    ("label", "status", "injection"),
    [
        (None, None, ""),
        ("disabled", None, ""),
        ("enabled", None, "expected_not_injected"),
        ("enabled", '{"decision":"injected"}', "injected"),
        (None, '{"decision":"injected"}', "injected"),
        ("enabled", '{"decision":"skipped"}', "skipped"),
        ("enabled", '{"decision":"nonsense"}', ""),
        ("enabled", "[", ""),
    ],
)
def test_what_the_webhook_made_of_it(label, status, injection):
    annotations = {} if status is None else {STATUS: status}
    labels = {} if label is None else {"primus-lens.io/wandb": label}
    document = pod("p", labels=labels, annotations=annotations)
    assert decoded(document).injection == injection
    cache = PodCache()
    cache.put(decoded(document))
    assert cache.injections() == {injection: 1}
    cache.remove("uid-of-p")
    assert cache.injections() == {}


@pytest.mark.parametrize(
    ("annotations", "container"),
    [
        ({}, "main"),
        ({DEFAULT_CONTAINER: "side"}, "side"),
        ({DEFAULT_CONTAINER: "absent"}, "main"),
        ({STATUS: '{"containers":["side"]}'}, "side"),
        ({STATUS: '{"containers":["side"]}', DEFAULT_CONTAINER: "main"}, "side"),
        ({STATUS: '{"containers":["absent","side"]}'}, "side"),
        ({STATUS: '{"containers":["init"]}'}, "main"),
        ({STATUS: '{"containers":[]}', DEFAULT_CONTAINER: "side"}, "side"),
        ({STATUS: '{"decision":"skipped"}'}, "main"),
        ({STATUS: '{"containers":"side"}', DEFAULT_CONTAINER: "side"}, "side"),
        ({STATUS: '{"containers":[1]}'}, "main"),
        ({STATUS: "[" * 100_000}, "main"),
        ({STATUS: "\x00"}, "main"),
    ],
)
def test_the_container_that_trains(annotations, container):
    document = {**FULL, "metadata": {**FULL["metadata"], "annotations": annotations}}
    assert decoded(document).container == container


def state(kind="running", **more):
    return {kind: {"startedAt": "1970-01-01T00:01:40Z"}, **more}


@pytest.mark.parametrize(
    ("status", "running"),
    [
        (None, 0),
        ({}, 0),
        ({"phase": "Running", "containerStatuses": None}, 0),
        (
            {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": {}}}]},
            0,
        ),
        ({"phase": "Running", "containerStatuses": [{"name": "main", "state": state()}]}, 100),
        ({"phase": "Failed", "containerStatuses": [{"name": "main", "state": state()}]}, 0),
        ({"phase": "Running", "containerStatuses": [{"name": "side", "state": state()}]}, 0),
        ({"phase": "Running", "containerStatuses": [{"name": "main"}]}, 0),
        ({"phase": "Running", "containerStatuses": [{"name": "main", "state": None}]}, 0),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    {"name": "side", "state": state()},
                    {"name": "main", "state": state("terminated")},
                ],
            },
            0,
        ),
    ],
)
def test_since_when_it_trains(status, running):
    assert decoded({**FULL, "status": status}).running == running


@pytest.mark.parametrize(
    "breakage",
    [
        {"status": 7},
        {"status": {"containerStatuses": [{}]}},
        {"status": {"containerStatuses": [{"name": "main", "state": {"running": 1}}]}},
        {"metadata": None},
        {"metadata": {}},
        {"spec": []},
        {"metadata": {"uid": "", "name": "p", "namespace": "n"}},
        {"metadata": {"uid": None, "name": "p", "namespace": "n"}},
        {"metadata": {"uid": 1, "name": "p", "namespace": "n"}},
        {"metadata": {"uid": "u", "name": "p", "namespace": "n", "labels": {"a": 1}}},
        {"metadata": {"uid": "u", "name": "p", "namespace": "n", "ownerReferences": 7}},
        {"spec": {"containers": [None]}},
        {"spec": {"containers": {"name": "x"}}},
    ],
)
def test_a_pod_that_makes_no_sense_is_none_and_its_neighbours_are_read(breakage):
    broken = {**FULL, **breakage}
    with pytest.raises(NoPod):
        decoded(broken)
    body = {"metadata": {"resourceVersion": "7"}, "items": [FULL, broken, FULL]}
    page = decoder.page(json.dumps(body).encode(), ())
    assert (len(page.pods), page.skipped, page.version) == (2, 1, "7")


def test_nulls_where_a_pod_may_have_nothing():
    metadata = {**FULL["metadata"], "labels": None, "annotations": None, "ownerReferences": None}
    spec = {"containers": None, "initContainers": None, "nodeName": None}
    status = {"phase": None, "containerStatuses": None}
    found = decoded({"metadata": metadata, "spec": spec, "status": status}, "team")
    assert (found.container, found.containers, found.node, found.labels) == ("", (), "", ())
    assert (found.workload_kind, found.workload) == ("Pod", "p")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@st.composite
def mangled(draw):
    """A pod in which one value, at any depth, is any other."""
    document = json.loads(json.dumps(FULL))
    at = document
    while True:
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or draw(st.booleans()):
            at[key] = draw(JSON)
            return document
        at = at[key]


@given(mangled() | JSON)
def test_no_json_raises_and_what_is_read_is_text(document):
    try:
        found = decoded(document, "team")
    except NoPod:
        return
    assert found.uid
    assert all(isinstance(part, str) for part in (*found[:4], *found.containers, *found[5:8]))


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_garbled(body):
    for read in (decoder.page, decoder.event):
        try:
            read(body, ())
        except decoder.Garbled:
            continue


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"metadata":{}}', b'{"metadata":{"resourceVersion":""}}']
)
def test_a_page_without_a_version_is_garbled(body):
    with pytest.raises(decoder.Garbled):
        decoder.page(body, ())


def test_events():
    def event(kind, document):
        return decoder.event(json.dumps({"type": kind, "object": document}).encode(), ())

    bookmark = {"metadata": {"resourceVersion": "9"}}
    assert event("BOOKMARK", bookmark) == ("BOOKMARK", None, "9", 0)
    assert event("ERROR", {"kind": "Status", "code": 410}) == ("ERROR", None, "", 410)
    assert event("ADDED", FULL).pod == decoded(FULL)
    assert event("ADDED", {**bookmark, "spec": 1}) == ("ADDED", None, "9", 0)
    assert event("NEWS", {}) == ("NEWS", None, "", 0)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"app.kubernetes.io/name": "x"}, {"label_app_kubernetes_io_name": "x"}),
        ({"appVersion": "1"}, {"label_app_version": "1"}),
        ({"a-b": "1", "a.b": "2"}, {"label_a_b_conflict1": "1", "label_a_b_conflict2": "2"}),
        (
            {"a-b": "1", "a.b": "2", "a_b_conflict1": "3"},
            {
                "label_a_b_conflict1": "3",
                "label_a_b_conflict2": "1",
                "label_a_b_conflict3": "2",
            },
        ),
    ],
)
def test_labels_are_named_as_kube_state_metrics_names_them(labels, expected):
    assert dict(series_labels(labels, labels)) == expected
    assert series_labels(labels, ()) == ()


@given(st.dictionaries(st.text("aA.-_/cf1", max_size=4), st.text()))
def test_no_two_labels_get_one_name_and_none_is_lost(labels):
    found = series_labels(labels, labels)
    assert len({name for name, _ in found}) == len(labels)
    assert sorted(value for _, value in found) == sorted(labels.values())


def known(*names):
    return [decoded(pod(name)) for name in names]


@pytest.fixture
def clock(monkeypatch):
    """A clock for the cache that moves when told to."""
    now = [0.0]
    monkeypatch.setattr("primus_lens_exporter.pods.cache.time.monotonic", lambda: now[0])
    return now


def test_a_pod_that_is_gone_stays_known_for_the_grace(clock):
    cache = PodCache()
    (a,) = known("a")
    assert (cache.get(a.uid), cache.synced) == (None, False)
    cache.replace([a])
    assert cache.synced
    cache.remove(a.uid)
    clock[0] = GRACE_SECONDS - 1
    cache.replace([])
    assert cache.get(a.uid) == a
    clock[0] = GRACE_SECONDS
    cache.forget()
    assert (cache.get(a.uid), len(cache)) == (None, 0)


def test_a_pod_that_is_back_is_not_forgotten(clock):
    cache = PodCache()
    a, b = known("a", "b")
    cache.replace([a, b])
    cache.replace([b])
    cache.put(a)
    clock[0] = GRACE_SECONDS + 1
    cache.forget()
    assert (cache.get(a.uid), cache.get(b.uid)) == (a, b)


def test_the_longest_gone_make_room():
    cache = PodCache()
    pods = known(*map(str, range(MAX_GONE + 10)))
    cache.replace(pods)
    for each in pods:
        cache.remove(each.uid)
    assert len(cache) == MAX_GONE
    assert cache.get(pods[9].uid) is None
    assert cache.get(pods[10].uid) == pods[10]


def test_removing_what_was_never_there():
    cache = PodCache()
    cache.remove("u")
    assert len(cache) == 0
