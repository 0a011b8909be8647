# SPDX-License-Identifier: Apache-2.0
import itertools
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.pods import informer, request
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.decoder import Garbled
from primus_lens_exporter.pods.informer import Pace
from primus_lens_exporter.pods.telemetry import RESULTS, VERBS
from primus_lens_toolkit.kubernetes_api import Api, NotConfigured

from support.api_server import ApiServer, pod, silent
from support.pod_world import World
from support.serving import until

pytestmark = pytest.mark.exhaustive


@given(st.lists(st.binary(max_size=9)), st.lists(st.integers(0, 60)))
def test_lines_come_whole_however_they_are_cut(lines, cuts):
    lines = [line.replace(b"\n", b"") for line in lines]
    stream = b"".join(line + b"\n" for line in lines)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    assert list(request._lines(stream[a:b] for a, b in itertools.pairwise(ends))) == lines


@pytest.mark.parametrize("chunks", [["xxxxxx"], ["xxx", "xxx"], ["x\nxxx", "xxx"], ["x\nxxxxxx"]])
def test_no_more_of_a_line_is_kept_than_its_bound(monkeypatch, chunks):
    monkeypatch.setattr(request, "MAX_LINE_BYTES", 5)
    following = itertools.repeat(b"x", 100)
    with pytest.raises(Garbled):
        list(request._lines(itertools.chain(map(str.encode, chunks), following)))
    assert len(list(following)) > 90


@pytest.fixture
def server():
    with ApiServer("a", "b") as server:
        yield server


def test_a_continue_token_that_expires_begins_the_list_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(informer, "PAGE_PODS", 1)
    server.fail("list", lambda handler: (server.compact(), handler.list({"limit": "1"})))
    stale = {"limit": "1", "continue": "1:1"}
    server.fail("list", lambda handler: handler.list(stale))
    world = World(server, tmp_path, monkeypatch)
    world.informer.start()
    world.heals()
    assert world.result("list", "gone") == 1
    world.informer.stop()


def test_a_page_that_is_too_long_is_asked_for_in_pieces(server, tmp_path, monkeypatch):
    monkeypatch.setattr(request, "MAX_PAGE_BYTES", 4000)
    for number in range(100):
        server.put(pod(f"p{number}"))
    world = World(server, tmp_path, monkeypatch)
    world.informer.start()
    world.heals()
    assert world.result("list", "garbled") >= 1
    world.informer.stop()


@pytest.mark.parametrize("method", ["replace", "put"])
def test_a_fault_of_ours_is_logged_and_ends_nothing(server, tmp_path, monkeypatch, caplog, method):
    world = World(server, tmp_path, monkeypatch)
    faults = [ZeroDivisionError("once")]

    def fragile(given):
        if faults:
            raise faults.pop()
        getattr(PodCache, method)(world.cache, given)

    monkeypatch.setattr(world.cache, method, fragile)
    world.informer.start()
    world.heals()
    assert "ZeroDivisionError: once" in caplog.text
    world.informer.stop()


LARGE = """
import re, time
from pathlib import Path
from primus_lens_toolkit.kubernetes_api import Api
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry
from primus_lens_exporter.pods.informer import PodInformer
from prometheus_client import CollectorRegistry
status = Path("/proc/self/status")
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
cache, start = PodCache(), peak()
api = Api()
imported = peak()
informer = PodInformer(api, cache, KubernetesTelemetry(CollectorRegistry(), cache))
began = time.monotonic()
informer.start()
while not cache.synced:
    time.sleep(0.01)
print(len(cache), f"{time.monotonic() - began:.2f} s, {peak() - imported:.1f} MB for the pods",
      f"{imported - start:.1f} MB for the client", sep=", ")
informer.stop()
"""


def test_five_thousand_pods_of_all_nodes_come_in_pages(server, tmp_path, capsys):
    environ = [{"name": f"VARIABLE_{n}", "value": "v" * 50} for n in range(60)]
    for number in range(5000 - 2):
        each = pod(f"p{number}", node=f"n{number % 50}", labels={"team": str(number)})
        each["spec"]["containers"][0]["env"] = environ  # 5 kB a pod
        server.put(each)
    environ = {**os.environ, "KUBECONFIG": str(server.kubeconfig(tmp_path))}
    done = subprocess.run(
        [sys.executable, "-c", LARGE], env=environ, capture_output=True, text=True
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("5000, ")
    lists = [query for verb, query in server.asked if verb == "list"]
    assert [("continue" in query, "fieldSelector" in query) for query in lists] == (
        [(False, False)] + [(True, False)] * 9
    )


def test_starting_while_the_api_is_away_and_stopping_before_it_is_back(
    server, tmp_path, monkeypatch
):
    world = World(server, tmp_path, monkeypatch, pace=Pace())
    server.stop()
    world.informer.start()
    until(lambda: world.result("list", "unreachable"))
    assert (world.cache.synced, len(world.cache)) == (False, 0)
    world.informer.stop()
    assert not world.informer._thread.is_alive()
    server.start()


@pytest.mark.parametrize("phase", ["list", "watch"])
def test_stops_at_once_while_nothing_comes(server, tmp_path, monkeypatch, phase):
    server.fail(phase, silent)
    world = World(server, tmp_path, monkeypatch, pace=Pace())
    world.informer.start()
    until(lambda: server.count(phase))
    began = time.monotonic()
    world.informer.stop()
    assert not world.informer._thread.is_alive()
    assert time.monotonic() - began < informer.STOP_SECONDS


@pytest.mark.parametrize("text", [None, "", "{", "[]", "clusters: 7", "\0"])
def test_without_a_way_to_the_api_one_line_says_what_to_do(tmp_path, monkeypatch, text):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if text is not None:
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(NotConfigured) as raised:
        Api()
    (line,) = str(raised.value).splitlines()
    assert line.startswith("no way to the Kubernetes API (")
    assert "KUBECONFIG" in line


def test_every_result_starts_at_zero(server, tmp_path, monkeypatch):
    world = World(server, tmp_path, monkeypatch)
    for verb in VERBS:
        for result in RESULTS:
            assert world.result(verb, result) == 0


def test_what_needs_no_cluster_does_not_pay_for_the_client():
    program = "import sys, primus_lens_exporter.pods.informer; print('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
