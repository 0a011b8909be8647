# SPDX-License-Identifier: Apache-2.0
"""From an unmodified training script to a PromQL answer of a real Prometheus."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from support.api_server import ApiServer
from support.chart.alert_expressions import expressions
from support.kubelet import Kubelet, rank
from support.receiver import Prometheus as Receiver
from support.receiver import VictoriaMetrics
from support.serving import Exporter, free_port, late, record, until

TRAIN = """
    import wandb
    wandb.init(project="p", group="g", name="n")
    for i in range(50):
        wandb.log({"loss": 1 / (i + 1), "ünïcode/key": i, "bad": float("nan")}, step=i)
    wandb.finish()
"""


EVERY_200_MS = """
    import time, wandb
    wandb.init(project="p")
    for i in range(30):
        wandb.log({"loss": 1 / (i + 1)}, step=i)
        time.sleep(0.2)
    wandb.finish()
"""


def scraping(directory, target):
    """A configuration, for Prometheus and VictoriaMetrics."""
    config = directory / "prometheus.yml"
    job = {"job_name": "j", "honor_labels": True, "static_configs": [{"targets": [target]}]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    return config


@contextlib.contextmanager
def prometheus(directory, target):
    """Asks a real Prometheus that scrapes the target."""
    program = shutil.which("prometheus") or pytest.skip("Prometheus is not installed")
    config = scraping(directory, target)
    port = free_port()
    process = subprocess.Popen(
        [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=subprocess.DEVNULL,
    )

    def ask(promql):
        query = urllib.parse.urlencode({"query": promql})
        url = f"http://127.0.0.1:{port}/api/v1/query?{query}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            result = json.load(answer)["data"]["result"]
            return [(each["metric"], each["value"][1]) for each in result]

    try:
        yield ask
    finally:
        process.terminate()
        process.wait(10)


def test_a_training_in_a_real_prometheus(train, tmp_path):
    env = {"NODE_RANK": "2", "LOCAL_RANK": "3", "WORLD_SIZE": "16"}
    assert train(TRAIN, env=env).status == 0
    with (
        Exporter(tmp_path / "records") as exporter,
        prometheus(tmp_path, f"127.0.0.1:{exporter.port}") as ask,
    ):
        until(lambda: ask("primus_lens_wandb_records_total == 50"), 30)
        ((labels, value),) = ask('primus_lens_wandb_metric{key="loss"}')
        assert (labels["node_rank"], labels["local_rank"]) == ("2", "3")
        assert float(value) == 1 / 50
        assert ask('primus_lens_wandb_metric{key="ünïcode/key"}')[0][1] == "49"
        assert ask('primus_lens_wandb_metric{key="bad"}')[0][1] == "NaN"
        assert ask("primus_lens_wandb_step")[0][1] == "49"
        join = "primus_lens_wandb_step * on(run_id) group_left(project) primus_lens_wandb_run_info"
        assert ask(join)[0][0]["project"] == "p"
        assert ask("up")[0][1] == "1"


@pytest.mark.exhaustive
def test_late_rows_move_no_step_in_a_real_prometheus(rank, tmp_path):
    rows = [record(step, timestamp=time.time()) + late(step * 1000, loss=step) for step in range(9)]
    (rank / "wandb_metrics.jsonl").write_bytes(b"".join(rows))
    with (
        Exporter(tmp_path / "records") as exporter,
        prometheus(tmp_path, f"127.0.0.1:{exporter.port}") as ask,
    ):
        until(lambda: ask("primus_lens_wandb_records_total == 18"), 30)
        assert ask("primus_lens_wandb_step")[0][1] == "8"
        assert ask('primus_lens_wandb_metric{key="loss"}')[0][1] == "8"


def test_the_labels_of_a_pod_are_kept_and_its_series_end_with_it(tmp_path):
    with ApiServer() as server:
        kubelet = Kubelet(tmp_path / "kubelet", server)
        volume = kubelet.start("p")
        (rank(volume) / "wandb_metrics.jsonl").write_bytes(record(loss=1))
        flags = "--records.kubelet-root", kubelet.root, "--kubernetes.node-name", "n1"
        environ = {"KUBECONFIG": str(server.kubeconfig(tmp_path))}
        with (
            Exporter(None, *flags, "--series.grace-seconds=3", environ=environ) as exporter,
            prometheus(tmp_path, f"127.0.0.1:{exporter.port}") as ask,
        ):
            until(lambda: ask("primus_lens_wandb_metric"), 30)
            ((labels, _),) = ask("primus_lens_wandb_metric")
            assert (labels["namespace"], labels["pod"], labels["node"]) == ("team", "p", "n1")
            kubelet.remove(volume)
            gone = time.monotonic()
            until(lambda: ask("primus_lens_wandb_metric") == [], 30)  # stale, not five minutes old
            assert time.monotonic() - gone > 2.5  # two scrapes or more have seen the last value


@pytest.mark.exhaustive
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_connections_that_others_hold_fail_no_scrape(tmp_path, rank, sent):
    def hold(count, pause):
        for _ in range(count):
            client = held.enter_context(socket.create_connection(("127.0.0.1", exporter.port)))
            client.sendall(sent)
            time.sleep(pause)

    with Exporter(tmp_path / "records") as exporter, contextlib.ExitStack() as held:
        hold(64, 0)
        with prometheus(tmp_path, f"127.0.0.1:{exporter.port}") as ask:
            until(lambda: ask("up"), 30)
            hold(400, 0.02)  # the scraper's own connection gives way too, while it is idle
            assert ask("count_over_time(up[1m])")[0][1] >= "5"
            assert ask("min_over_time(up[1m])")[0][1] == "1"


@pytest.mark.exhaustive
def test_a_training_faster_than_any_scrape_arrives_whole(train, tmp_path):
    """Every 0.2 s, while a scrape would see each 75th."""
    (tmp_path / "records").mkdir()
    with Receiver(tmp_path / "receiver") as receiver:
        flags = "--remote-write.url", receiver.write_url, "--remote-write.spool-directory"
        with Exporter(tmp_path / "records", *flags, tmp_path / "spool"):
            assert train(EVERY_200_MS).status == 0
            loss = 'primus_lens_wandb_metric{key="loss"}'
            until(lambda: [*receiver.count(loss, time.time() + 5).values()] == [30], 30)


@pytest.fixture
def log(rank):
    def append(loss):
        with (rank / "wandb_metrics.jsonl").open("ab") as file:
            file.write(record(timestamp=time.time(), loss=loss))

    return append


@pytest.mark.exhaustive
def test_the_alert_sees_a_nan_that_victoria_metrics_scrapes_and_does_not_keep(log, tmp_path):
    def asked(query):
        victoria.get("/internal/force_flush")
        return bool(victoria.query(query, time.time()))

    firing = expressions()["PrimusLensLossNotFinite"]
    exporter, victoria = Exporter(tmp_path / "records"), VictoriaMetrics(tmp_path / "victoria")
    config = scraping(tmp_path, f"127.0.0.1:{exporter.port}")
    victoria.flags = [f"-promscrape.config={config}", "-search.latencyOffset=1s"]
    with exporter, victoria:
        log(1)
        until(lambda: asked('primus_lens_wandb_metric{key="loss"}'), 30)
        for loss, fires in ((1, False), ("NaN", True), (1, False)):
            log(loss)
            until(lambda: asked(firing) is fires, 30)  # noqa: B023


@pytest.mark.exhaustive
def test_an_exporter_that_starts_again_raises_no_alert_for_an_old_nan(log, tmp_path):
    firing = expressions()["PrimusLensLossNotFinite"].replace("1h", "6s")
    exporter = Exporter(tmp_path / "records")
    with prometheus(tmp_path, f"127.0.0.1:{exporter.port}") as ask:
        with exporter:
            log("NaN")
            until(lambda: ask(firing), 30)
            until(lambda: not ask(firing), 30)  # the hour is over
        until(lambda: ask("up")[0][1] == "0", 30)
        with exporter:
            until(lambda: ask("primus_lens_wandb_metric"), 30)
            for _ in range(40):
                assert ask(firing) == []
                time.sleep(0.2)
            log("NaN")
            until(lambda: ask(firing), 30)
