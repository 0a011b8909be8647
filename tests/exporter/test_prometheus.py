# SPDX-License-Identifier: Apache-2.0
"""From an unmodified training script to a PromQL answer of a real Prometheus."""

import contextlib
import json
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest
from serving import Exporter, free_port, until

TRAIN = """
    import wandb
    wandb.init(project="p", group="g", name="n")
    for i in range(50):
        wandb.log({"loss": 1 / (i + 1), "ünïcode/key": i, "bad": float("nan")}, step=i)
    wandb.finish()
"""


@contextlib.contextmanager
def prometheus(directory, target):
    """Asks a real Prometheus that scrapes the target."""
    program = shutil.which("prometheus") or pytest.skip("Prometheus is not installed")
    config = directory / "prometheus.yml"
    job = {"job_name": "j", "honor_labels": True, "static_configs": [{"targets": [target]}]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
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
