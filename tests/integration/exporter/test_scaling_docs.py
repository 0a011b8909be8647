# SPDX-License-Identifier: Apache-2.0
"""The configurations of docs/scaling.md, in the programs that they are for.

The first line of each says which file it is. Where series have to arrive, targets take the place of
Kubernetes' discovery, with the labels that it gives to the exporter's pods.
"""

import json
import re
import subprocess

import pytest
import yaml

from support.chart import charting
from support.chart.helm import HelmError
from support.receiver import Prometheus3, brought
from support.repository import ROOT
from support.serving import Exporter, record, until

DOCUMENT = (ROOT / "docs" / "scaling.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(# (\S+): ([^\n]*)\n.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
NOT_RUN = "mimir-runtime.yml"
META = {
    "__meta_kubernetes_pod_label_app_kubernetes_io_component": "exporter",
    "__meta_kubernetes_pod_container_port_name": "metrics",
}


class Agent(Prometheus3):
    @property
    def command(self):
        flags = ["--agent", f"--storage.agent.path={self.directory / 'data'}"]
        return [*super().command[:2], *flags, f"--web.listen-address=localhost:{self.port}"]


def start(kind, directory, text, flags=()):
    """A Prometheus with this configuration; it ends where it cannot be read."""
    prometheus = kind(directory)
    prometheus.flags += flags
    (directory / "prometheus.yml").write_text(text)
    return prometheus


def load_into_prometheus(directory, text, kind=Prometheus3):
    with start(kind, directory, text):
        pass


def load_into_agent(directory, text):
    load_into_prometheus(directory, text, Agent)


def load_into_exporter(directory, text):
    (directory / "remote-write.yml").write_text(text)
    flags = ["--remote-write.config.file", directory / "remote-write.yml"]
    flags += ["--remote-write.url", "http://127.0.0.1:9/api/v1/push"]
    exporter = Exporter(directory, *flags, "--remote-write.spool-directory", directory)
    exporter.start()
    until(lambda: exporter.status("/-/ready") or exporter.process.poll() is not None)
    exporter.__exit__()  # which sees how it ended


def load_into_chart(_, text):
    assert charting.documents(yaml.safe_load(text))


LOADERS = {
    "prometheus.yml": load_into_prometheus,
    "agent.yml": load_into_agent,
    "remote-write.yml": load_into_exporter,
    "values.yaml": load_into_chart,
}


def block(name, title=""):
    """The configuration of that file, parsed; the first whose first line has the title."""
    found = (text for text, file, line in BLOCKS if file == name and title in line)
    return yaml.safe_load(next(found))


def with_targets(job, targets):
    """The job with targets that its relabelling takes for the exporter's pods."""
    job = {key: value for key, value in job.items() if key != "kubernetes_sd_configs"}
    return job | {"static_configs": [{"targets": targets, "labels": META}]}


def active(prometheus):
    """The instances that it scrapes."""
    found = json.loads(prometheus.get("/api/v1/targets", state="active"))
    return [each["labels"]["instance"] for each in found["data"]["activeTargets"]]


@pytest.mark.parametrize(("text", "file"), [
    pytest.param(text, file, id=f"{file}: {line}") for text, file, line in BLOCKS if file != NOT_RUN
])  # fmt: skip
def test_its_program_loads_a_configuration(text, file, tmp_path):
    LOADERS[file](tmp_path, text)


@pytest.mark.exhaustive
@pytest.mark.parametrize("file", LOADERS)
def test_its_program_refuses_a_word_that_it_does_not_know(file, tmp_path):
    text = yaml.safe_dump(block(file) | {"scrape_intervall": "30s"})
    with pytest.raises((AssertionError, HelmError)):
        LOADERS[file](tmp_path, text)


@pytest.mark.parametrize("title", ["all exporters", "shard 0 of 4"])
def test_victoria_metrics_reads_what_prometheus_reads(title, tmp_path):
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(block("prometheus.yml", title)))
    command = [brought("victoria-metrics"), "-promscrape.config", tmp_path / "prometheus.yml"]
    assert subprocess.run([*command, "-dryRun"], capture_output=True).returncode == 0


def test_a_prometheus_takes_the_flags_for_a_sidecar(tmp_path):
    (line,) = re.findall(r"^prometheus .*min-block-duration.*", DOCUMENT, re.MULTILINE)
    flags = line.split()[2:]
    with start(Prometheus3, tmp_path, "{}", flags) as prometheus:
        shown = json.loads(prometheus.get("/api/v1/status/flags"))["data"]
    assert {f"--{name}={value}" for name, value in shown.items()} >= {*flags}


def test_the_chart_gives_its_pods_what_is_looked_for():
    labels, (port,) = charting.pod({})["metadata"]["labels"], charting.container({})["ports"]
    assert [*META.values()] == [labels["app.kubernetes.io/component"], port["name"]]


def test_each_program_has_a_configuration():
    assert {file for _, file, _ in BLOCKS} == {*LOADERS, NOT_RUN}


def test_each_shard_takes_its_own_exporters(tmp_path):
    targets = [f"10.0.{i}.7:10471" for i in range(40)]
    (job,) = block("prometheus.yml", "shard 0 of 4")["scrape_configs"]
    jobs = [yaml.safe_load(yaml.safe_dump(with_targets(job, targets))) for _ in range(4)]
    for number, each in enumerate(jobs):
        each["job_name"] = each["relabel_configs"][-1]["regex"] = str(number)
    with start(Prometheus3, tmp_path, yaml.safe_dump({"scrape_configs": jobs})) as prometheus:
        assert sorted(until(lambda: active(prometheus))) == sorted(targets)


def test_an_agent_sends_what_it_has_scraped(tmp_path, rank):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=0.5))
    config = block("agent.yml")
    with (
        Exporter(tmp_path / "records") as exporter,
        Prometheus3(tmp_path / "receiver") as receiver,
    ):
        (job,) = config["scrape_configs"]
        job = with_targets(job, [f"127.0.0.1:{exporter.port}"])
        config["scrape_configs"] = [job | {"scrape_interval": "1s"}]
        config["remote_write"][0]["url"] = receiver.write_url
        (tmp_path / "agent").mkdir()
        with start(Agent, tmp_path / "agent", yaml.safe_dump(config)):
            query = 'primus_lens_wandb_metric{key="loss",cluster="west"} == 0.5'
            until(lambda: b'"0.5"' in receiver.get("/api/v1/query", query=query), 60)
