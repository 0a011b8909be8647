# SPDX-License-Identifier: Apache-2.0
import contextlib
import gzip
import json
import os
import time

import pytest
from primus_lens_exporter.live.overview import shown
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.series.store import Store

from support import live, serving, sites
from support.holding import Holder, give
from support.serving import Exporter, late, record, until

RUN = {"project": "p", "name": "n", "group": "g", "step_fix": {"logs": 9, "conflicts": 2}}


@pytest.fixture
def log(rank):
    """Append records to the rank's file."""

    def append(*records, name="wandb_metrics.jsonl"):
        with (rank / name).open("ab") as file:
            file.write(b"".join(records))

    return append


def steps(count, **data):
    now = time.time()
    return [
        record(step, timestamp=now - count + step, loss=step / 4, **data) for step in range(count)
    ]


def test_a_run_with_its_ranks(exporter, rank, log):
    log(*steps(90))
    (rank / "wandb_runs.json").write_text(json.dumps({"r": RUN}))
    (run,) = until(lambda: [run for run in live.runs(exporter) if run["project"]])
    assert (run["run_id"], run["name"], run["group"]) == ("r", "n", "g")
    assert (run["step"], run["records"], run["keys"]) == (89, 90, 1)
    assert run["headline"] == {"key": "loss", "value": 89 / 4}
    assert run["spark"][:2] == [0, 2.5]
    assert run["step_fix"] == {"logs": 9, "conflicts": 2}
    assert run["steps_per_second"] == pytest.approx(1, rel=0.3)
    assert (run["finished"], run["hints"]) == (False, [])
    assert [(each["node_rank"], each["local_rank"]) for each in run["ranks"]] == [("0", "1")]


def test_the_exporters_health_is_told(exporter, log):
    log(*steps(3), b"garbage\n")
    live.runs(exporter)
    health = live.ask(exporter, "runs")["exporter"]
    assert (health["files"], health["ranks"], health["ready"]) == (1, 1, True)
    assert health["series"] == exporter.value("primus_lens_exporter_series")
    assert health["pods"] is None


def test_what_is_not_finite_is_a_word_and_a_hint(exporter, log):
    log(record(loss="NaN", up="Infinity", down="-Infinity", timestamp=time.time()))
    (run,) = live.runs(exporter)
    assert run["headline"] == {"key": "loss", "value": "NaN"}
    assert [hint["kind"] for hint in run["hints"]] == ["loss_not_finite"]
    (rank_id,) = run["hints"][0]["rank_ids"]
    values = live.ask(exporter, f"runs/{run['id']}/values")["values"]
    assert values == {
        "loss": {rank_id: "NaN"}, "up": {rank_id: "Infinity"}, "down": {rank_id: "-Infinity"},
    }  # fmt: skip


def test_a_chart_has_the_very_values_of_the_file(exporter, log):
    log(*steps(300, lr="Infinity"))
    answer = live.history(exporter)
    assert answer["keys"]["loss"]["value"][-1] == 299 / 4
    assert len(answer["keys"]["loss"]["value"]) <= 100
    loss = live.history(exporter, key="loss")["keys"]["loss"]
    assert loss["value"] == [step / 4 for step in range(300)]
    assert loss["step"] == list(range(300))
    assert loss["time"] == sorted(loss["time"])


def test_a_late_row_is_drawn_at_its_own_step_and_moves_no_run(exporter, log):
    begin = time.time() - 40
    for second in range(40):
        log(record(second, timestamp=begin + second, loss=1))
        log(late(9 * second, timestamp=begin + second, **{"eval/loss": second}))
    exporter.lines("ok", 80)
    (run,) = live.runs(exporter)
    assert (run["step"], run["ranks"][0]["step"], run["records"]) == (39, 39, 80)
    assert run["steps_per_second"] == pytest.approx(1, rel=0.3)
    drawn = live.history(exporter, key="eval/loss")["keys"]["eval/loss"]
    assert drawn["step"] == [9 * second for second in drawn["value"]]
    assert len(drawn["step"]) == 40


def test_a_chart_grows_by_what_is_new(exporter, log):
    log(*steps(5))
    first = live.history(exporter)
    assert live.history(exporter, after=first["cursor"])["keys"] == {}
    log(record(5, loss=9))
    second = live.history(exporter, after=first["cursor"])
    assert (second["reset"], second["keys"]["loss"]["value"]) == (False, [9])


@pytest.mark.exhaustive
def test_a_chart_goes_on_over_a_rotation(exporter, rank, log):
    log(*steps(5))
    cursor = live.history(exporter)["cursor"]
    log(record(5, loss=9))
    os.rename(rank / "wandb_metrics.jsonl", rank / "wandb_metrics.1.jsonl")
    log(record(6, loss=8))
    exporter.lines("ok", 7)
    answer = live.history(exporter, after=cursor)
    assert (answer["reset"], answer["keys"]["loss"]["value"]) == (False, [9, 8])


@pytest.mark.exhaustive
def test_a_file_that_was_written_anew_is_sent_whole(exporter, rank, log):
    log(*steps(5))
    cursor = live.history(exporter)["cursor"]
    (rank / "wandb_metrics.jsonl").write_bytes(record(1, loss=7))
    exporter.events("truncated", 1)
    answer = until(lambda: live.history(exporter, after=cursor))
    assert (answer["reset"], answer["keys"]["loss"]["value"]) == (True, [7])


def test_zooming_asks_for_a_part(exporter, log):
    log(*(record(step, timestamp=1000.0 + step, loss=step) for step in range(50)))
    zoomed = live.history(exporter, key="loss", **{"from": 1010, "to": 1012})
    assert zoomed["keys"]["loss"]["value"] == [10, 11, 12]


def test_the_newest_part_of_a_long_file_is_read(tmp_path, rank, log):
    log(*steps(3000))
    with serving.Exporter(tmp_path / "records", "--limits.history-bytes", "20000") as exporter:
        exporter.lines("ok", 3000)
        answer = live.history(exporter, key="loss")
    assert answer["truncated"]
    assert 100 < len(values := answer["keys"]["loss"]["value"]) < 300
    assert values[-1] == 2999 / 4


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("history", 404), ("history?id=..%2f..", 404), ("runs/none/values", 404),
        ("history?points=0", 400), ("history?points=x", 400), ("history?from=nan", 400),
        ("history?after=x:y", 400), ("history?" + "&key=k" * 65, 400),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_told_so(exporter, path, status):
    assert exporter.status(f"/api/v1/{path}") == status


def test_a_finished_run_is_marked(tmp_path, rank, log):
    now = time.time()
    log(record(timestamp=now, loss=1))
    (rank / "wandb_runs.json").write_text(json.dumps({"r": {"finish": now}}))
    with serving.Exporter(tmp_path / "records") as exporter:
        (run,) = until(lambda: [run for run in live.runs(exporter) if run["finished"]])
        assert run["hints"] == []


def test_a_run_that_has_long_been_silent_is_stalled(exporter, log):
    log(record(timestamp=time.time() - 3000, loss=1))
    (hint,) = live.runs(exporter)[0]["hints"]
    assert hint["alert"] == "PrimusLensTrainingStalled"
    assert hint["text"].startswith("No rank has logged for 50 minutes")


def test_times_that_are_none_are_no_records(exporter, log):
    bad = [record(loss=2, timestamp=each) for each in (1e300, -1e300, -5)]
    log(record(loss=1), *bad)
    exporter.lines("wrong_type", 3)
    (run,) = live.runs(exporter)
    assert (run["last_record"], run["headline"]["value"], run["records"]) == (1.5, 1, 1)
    assert exporter.value('primus_lens_exporter_lag_seconds{path="node_0/rank_1"}') in (0, None)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "exporter.monitoring.svc"}, 200),
        ({"Host": "evil.example.com"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "lens.example.com", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["runs", "runs/x/values", "history?id=x"])
def test_no_page_of_another_site_reads_the_api(exporter, path, headers, status):
    known = status if path == "runs" or status == 403 else 404
    assert exporter.status(f"/api/v1/{path}", **headers) == known
    refused = 'primus_lens_exporter_http_rejected_total{reason="cross_site"}'
    assert exporter.value(refused) == (status == 403)


def test_who_has_a_password_may_use_any_name(tmp_path, rank):
    (tmp_path / "web.yml").write_text(sites.users_yaml({"alice": sites.hashed("right")}))
    flag, login = f"--web.config.file={tmp_path / 'web.yml'}", sites.basic("alice", "right")
    exporter = serving.Exporter(tmp_path / "records", flag)
    with contextlib.ExitStack() as stack:
        exporter.start()
        stack.push(exporter.__exit__)
        until(lambda: exporter.status("/-/ready", Authorization=login) == 200)
        evil = {"Host": "evil.example.com"}
        assert exporter.status("/api/v1/runs", Authorization=login, **evil) == 200
        assert exporter.status("/api/v1/runs", **evil) == 401


@pytest.mark.parametrize("path", ["/metrics", "/-/ready", "/"])
def test_scrapes_and_probes_may_use_any_name(exporter, path):
    assert exporter.status(path, Host="gpu-17.example.com") == 200


def test_answers_are_compressed_for_those_who_take_it(exporter, log):
    log(record(**{f"key {each}": 1 for each in range(200)}))
    (run,) = live.runs(exporter)
    path = f"/api/v1/runs/{run['id']}/values"
    with exporter.get(path, **{"Accept-Encoding": "gzip"}) as response:
        assert len(json.loads(gzip.decompress(response.read()))["values"]) == 200


def test_the_page_may_load_nothing_but_its_own_files(exporter):
    with exporter.get("/") as response:
        policy, etag = response.headers["Content-Security-Policy"], response.headers["ETag"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    with pytest.raises(OSError, match="304"):
        exporter.get("/", **{"If-None-Match": etag})


def test_no_pod_hides_anothers_runs_behind_its_own():
    store, hostile, honest = Store(SeriesRules()), Holder(), Holder()
    for holder, count, newest in ((hostile, 50, 9e9), (honest, 3, 5.0)):
        place = (("node_rank", "0"), ("local_rank", str(count)))
        records = [Record(newest + each, {}, 1, f"{count} {each}") for each in range(count)]
        give(store, place, records, holder)
    seen = [run_id for _, run_id in shown(store.runs, 10)]
    assert {"3 0", "3 1", "3 2", "50 49", "50 43"} <= set(seen)
    assert len(seen) == 10


def test_the_rules_of_keys_hold_for_charts_too(rank):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1, secret=2, timestamp=time.time()))
    with Exporter(rank.parent.parent, "--keys.deny=secret") as exporter:
        until(lambda: live.runs(exporter))
        assert live.history(exporter)["keys"].keys() == {"loss"}
        assert live.history(exporter, key="secret")["keys"] == {}
