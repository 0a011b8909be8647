# SPDX-License-Identifier: Apache-2.0
"""What is kept of real files: the same on the page of a real exporter and in what it sends."""

import json

import pytest

from support.receiver import Prometheus, Prometheus3, VictoriaMetrics
from support.sending import OTLP, V2, flags
from support.serving import Exporter, until

RULES = """
rules:
  - {keys: [grad/.*], every: 10}
  - {keys: [timing/.*], at_most_once_per: 5s}
  - {keys: [gpu/.*], ranks: first}
  - {keys: [train/loss], ranks: aggregate}
"""
STEPS, RANKS = range(1, 41), range(4)
KEPT = '{__name__=~"primus_lens_wandb_metric.*"}'


class ScrapingToo(Prometheus):
    """Scrapes an exporter, beside what it is sent."""

    def scrape(self, exporter):
        target = exporter.url.removeprefix("http://")
        job = {"job_name": "j", "honor_labels": True, "static_configs": [{"targets": [target]}]}
        config = {"global": {"scrape_interval": "250ms"}, "scrape_configs": [job]}
        (self.directory / "prometheus.yml").write_text(json.dumps(config))
        self.start()


def value(step, rank):
    return step + rank / 8


def write(records, start, steps=STEPS):
    """Four ranks' files; returns what the rules keep of them: {(name, rank, key): values}."""
    for rank in RANKS:
        directory = records / "node_0" / f"rank_{rank}"
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "wandb_metrics.jsonl").open("a") as file:
            for step in steps:
                at, number = start + step + rank / 100, value(step, rank)
                keys = ("grad/norm", "timing/step", "gpu/util", "train/loss", "lr")
                row = {"timestamp": at, "step": step, "data": dict.fromkeys(keys, number)}
                file.write(json.dumps({**row, "run": "r", "seq": step}) + "\n")


def expected(start):
    name = "primus_lens_wandb_metric"
    kept = {
        (f"{name}_{which}", None, "train/loss"): [value(step, rank) for step in STEPS]
        for which, rank in (("min", 0), ("mean", 1.5), ("max", 3))
    }
    for rank in RANKS:
        slots = {(start + step + rank / 100) // 5: step for step in reversed(STEPS)}
        kept[name, rank, "timing/step"] = [value(step, rank) for step in sorted(slots.values())]
        kept[name, rank, "grad/norm"] = [value(step, rank) for step in STEPS if step % 10 == 1]
        kept[name, rank, "lr"] = [value(step, rank) for step in STEPS]
    kept[name, 0, "gpu/util"] = [value(step, 0) for step in STEPS]
    return kept


def stored(prometheus, at, *, scraped):
    """{(name, rank, key): values} of the series that were scraped, or of those that were sent."""
    found = {}
    for labels, samples in prometheus.samples(KEPT, at).items():
        names = dict(labels)
        if ("instance" in names) == scraped:
            rank = names.get("local_rank")
            series = names["__name__"], rank and int(rank), names["key"]
            found[series] = [float(value) for _, value in samples]
    return found


@pytest.fixture
def world(tmp_path, start):
    """An exporter with these rules that sends to the Prometheus by which it is scraped."""
    (tmp_path / "sampling.yaml").write_text(RULES)
    records, spool = tmp_path / "records", tmp_path / "spool"
    records.mkdir()
    prometheus = ScrapingToo(tmp_path / "prometheus")
    to = flags(prometheus.write_url, spool)
    exporter = Exporter(records, "--sampling.config.file", tmp_path / "sampling.yaml", *to)
    with exporter:
        prometheus.scrape(exporter)
        try:
            yield records, exporter, prometheus
        finally:
            prometheus.kill()


def test_page_and_remote_write_have_the_values_that_the_rules_keep(world, start):
    records, exporter, prometheus = world
    write(records, start)
    wanted = expected(start)
    until(lambda: stored(prometheus, start + 900, scraped=False) == wanted, 30)
    newest = {series: values[-1] for series, values in wanted.items()}

    def page():
        found = stored(prometheus, start + 900, scraped=True)
        return {series: values[-1] for series, values in found.items()}

    until(lambda: page() == newest)
    timing = sum(len(values) for (*_, key), values in wanted.items() if key == "timing/step")
    counted = {"every": 4 * 36, "at_most_once_per": 160 - timing, "ranks": (3 + 4) * 40}
    name = "primus_lens_exporter_sampled_out_values_total"
    for reason, values in counted.items():
        assert exporter.value(f'{name}{{reason="{reason}"}}') == values


@pytest.mark.exhaustive
@pytest.mark.parametrize(("kind", "protocol"), [(Prometheus3, V2), (VictoriaMetrics, OTLP)])
def test_the_same_is_sent_by_every_protocol(tmp_path, start, kind, protocol):
    (tmp_path / "sampling.yaml").write_text(RULES)
    write(tmp_path / "records", start)
    rules = "--sampling.config.file", tmp_path / "sampling.yaml"
    with kind(tmp_path / "receiver") as receiver:
        url = receiver.otlp_url if protocol == OTLP else receiver.write_url
        with Exporter(tmp_path / "records", *rules, *flags(url, tmp_path / "spool", protocol)):
            wanted = expected(start)
            until(lambda: stored(receiver, start + 900, scraped=False) == wanted, 60)


LONG = range(1, 3001)


@pytest.mark.exhaustive
@pytest.mark.timeout(180)
def test_aggregates_of_a_backlog_are_of_all_ranks(tmp_path, start):
    """A rank's lines are read by the piece: those of others come seconds later."""
    (tmp_path / "sampling.yaml").write_text("rules: [{keys: ['.*'], ranks: aggregate}]")
    write(tmp_path / "records", start - LONG[-1], LONG)
    (tmp_path / "link").symlink_to("records")  # is read in a thread
    rules = "--sampling.config.file", tmp_path / "sampling.yaml"
    rules += "--limits.waiting-values-per-pod", "10000"
    with Prometheus(tmp_path / "prometheus") as prometheus:
        to = flags(prometheus.write_url, tmp_path / "spool")
        with Exporter(tmp_path / "link", *rules, *to):
            name, keys = "primus_lens_wandb_metric", ("grad/norm", "timing/step", "lr")
            wanted = {
                (f"{name}_{which}", None, key): [value(step, rank) for step in LONG]
                for which, rank in (("min", 0), ("mean", 1.5), ("max", 3))
                for key in (*keys, "gpu/util", "train/loss")
            }
            until(lambda: len(stored(prometheus, start + 900, scraped=False)) == 15, 60)
            until(lambda: stored(prometheus, start + 900, scraped=False) == wanted, 60)


def test_what_is_scraped_while_a_training_runs_was_kept(world, start):
    records, _, prometheus = world
    write(records, start, STEPS[:20])
    until(lambda: len(stored(prometheus, start + 900, scraped=True)) == len(expected(start)), 30)
    write(records, start, STEPS[20:])
    wanted = expected(start)
    until(lambda: stored(prometheus, start + 900, scraped=False) == wanted, 30)
    scraped = stored(prometheus, start + 900, scraped=True)
    assert all(set(values) <= set(wanted[series]) for series, values in scraped.items())
