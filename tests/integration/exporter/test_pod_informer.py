# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from primus_lens_exporter.pods import informer, request

from support.api_server import (
    ApiServer,
    error_event,
    page,
    pod,
    raw,
    reset,
    silent,
    status,
    trickle,
)
from support.pod_world import PACE, World
from support.serving import until


@pytest.fixture
def server():
    with ApiServer("a", "b") as server:
        yield server


@pytest.fixture
def world(server, tmp_path, monkeypatch):
    world = World(server, tmp_path, monkeypatch)
    world.informer.start()
    until(lambda: world.cache.synced)
    until(lambda: server.watching)
    yield world
    began = time.monotonic()
    world.informer.stop()
    assert not world.informer._thread.is_alive()
    assert time.monotonic() - began < informer.STOP_SECONDS
    assert world.result("list", "fault") + world.result("watch", "fault") == 0


def test_pods_come_change_and_go(world):
    assert world.right()
    world.heals()
    world.server.delete("a")
    until(lambda: "uid-of-a" in world.informer._cache._gone)
    assert world.cache.get("uid-of-a").name == "a"
    assert world.number("pods") == 3
    assert world.number("watch_age_seconds") < 2


def test_a_name_that_is_used_again_is_another_pod(world):
    world.server.delete("a")
    world.server.put(pod("a", uid="second", labels={"team": "other"}))
    until(lambda: world.cache.get("second"))
    assert world.cache.get("uid-of-a").labels == (("label_team", "a"),)


def test_only_the_nodes_own_pods_are_asked_for(world):
    queries = [query for _, query in world.server.asked]
    assert {query["fieldSelector"] for query in queries} == {"spec.nodeName=n1"}
    assert queries[0]["limit"] == "500"
    assert queries[-1]["allowWatchBookmarks"] == "true"


def test_a_watch_that_ends_goes_on_where_it_was(world):
    world.heals()
    until(lambda: world.result("watch", "ok") == 2)
    assert world.server.count("list") == 1
    assert world.server.asked[-1][1]["resourceVersion"] == str(world.server.version)
    world.heals()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("fault", "result", "lists"),
    [
        (status(410), "gone", 2),
        (error_event(410), "gone", 2),
        (error_event(500), "server_error", 2),
        (error_event(0), "refused", 2),
        (raw(b'{"type":"ADDED","object":{"metadata"\n'), "garbled", 2),
        (raw(b'{"type":"ADDED","object":{"metadata"'), "garbled", 2),
        (raw(b"\x1f\x8b\xff\x00\n"), "garbled", 2),
        (raw(b"[]\n"), "garbled", 2),
        (raw(b"\n"), "garbled", 2),
        (raw(b"x" * (request.MAX_LINE_BYTES + 2)), "garbled", 2),
        (reset, "unreachable", 1),
        (status(500), "server_error", 1),
        (status(503), "server_error", 1),
        (status(404), "refused", 1),
        (status(302, Location="/elsewhere"), "refused", 1),
        (status(403), "forbidden", 1),
        (status(429), "throttled", 1),
        (status(429, Retry_After="0"), "throttled", 1),
        (status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), "throttled", 1),
        (silent, "silent", 1),
        (trickle, "garbled", 2),
    ],
)
def test_a_watch_that_fails_is_counted_and_healed(world, fault, result, lists):
    world.server.fail("watch", fault)
    until(lambda: world.result("watch", result))
    world.heals()
    assert world.result("watch", result) == 1
    assert world.server.count("list") == lists


def test_the_same_version_is_not_resumed_for_ever(world):
    world.server.fail("watch", status(504), times=informer.RESUMES)
    until(lambda: world.server.count("list") == 2)
    world.heals()


def test_pods_that_went_while_nobody_watched_go_with_the_next_list(world):
    world.server.fail("watch", silent)
    until(lambda: not world.server.watching)
    world.server.delete("a")
    world.server.compact()
    until(lambda: world.result("watch", "gone"))
    until(lambda: "uid-of-a" in world.cache._gone)
    assert world.cache.get("uid-of-a").name == "a"
    world.heals()


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (status(500), "server_error"),
        (status(403), "forbidden"),
        (status(410), "gone"),
        (page(b"{"), "garbled"),
        (page(b'{"metadata":{},"items":[]}'), "garbled"),
        (reset, "unreachable"),
        (silent, "silent"),
    ],
)
def test_a_list_that_fails_is_tried_again_and_forgets_nothing(world, fault, result):
    known = world.cache.get("uid-of-a")
    # Until it has been seen twice: on a busy machine an answer may come too late for its reader.
    world.server.fail("list", fault, times=1000)
    world.server.fail("watch", error_event(410))
    until(lambda: world.result("list", result) >= 2)
    world.server.heal("list")
    assert world.cache.get("uid-of-a") == known
    assert world.number("pods") == 2
    world.heals()


def test_what_makes_no_sense_among_the_pods_is_passed_over(world):
    world.server.fail("watch", raw(b'{"type":"ADDED","object":{"spec":1}}\n'))
    until(lambda: world.number("decode_failures_total") == 1)
    world.heals()
    assert world.server.count("list") == 1


def test_a_rotated_token_is_read_from_its_file(world):
    world.server.token = "second"
    world.server.fail("watch", status(500))
    until(lambda: world.result("watch", "unauthorized"))
    assert world.right()
    (world.directory / "kubeconfig").rename(world.directory / "away")
    refused = world.result("watch", "unauthorized")
    until(lambda: world.result("watch", "unauthorized") > refused)
    (world.directory / "token").write_text("second")
    (world.directory / "away").rename(world.directory / "kubeconfig")
    world.heals()


def test_a_server_that_restarts(world):
    world.server.stop()
    until(lambda: world.result("watch", "unreachable"))
    assert world.right()
    world.server.put(pod("c"))
    assert world.cache.get("uid-of-c") is None
    world.server.start()
    world.heals()


def test_requests_are_spaced_out_while_all_of_them_fail(world):
    before = len(world.server.asked)
    world.server.fail("watch", status(500), times=10_000)
    world.server.fail("list", status(500), times=10_000)
    time.sleep(2)
    assert 5 <= len(world.server.asked) - before <= 30


def test_a_watch_that_always_ends_at_once_does_not_spin(world):
    before = len(world.server.asked)
    world.server.fail("watch", raw(b""), times=10_000)
    time.sleep(1)
    assert 5 <= len(world.server.asked) - before <= 1 / PACE.first + 2


def test_a_missing_right_is_told_once_and_asked_about_slowly(world, caplog):
    began = time.monotonic()
    world.server.fail("watch", status(403), times=4)
    until(lambda: world.result("watch", "forbidden") == 4)
    assert time.monotonic() - began > 2.9 * PACE.longest
    world.heals()
    told = [each for each in caplog.records if each.levelname == "WARNING"]
    assert len(told) == 1
    assert "`list` and `watch` on `pods`" in told[0].advice


def test_retry_after_is_heeded(world):
    world.server.fail("watch", status(429, Retry_After="1"))
    until(lambda: world.result("watch", "throttled"))
    before = len(world.server.asked)
    time.sleep(0.7)
    assert len(world.server.asked) == before
    world.heals()
