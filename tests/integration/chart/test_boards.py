# SPDX-License-Identifier: Apache-2.0
"""The boards: made from their code, whole, and asking only for what there is."""

import hashlib
import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from grafana_foundation_sdk.models import units
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.model.system_metrics import MEASURES
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry
from primus_lens_exporter.sending.telemetry import OTLP, REMOTE_WRITE, SendingTelemetry
from primus_lens_exporter.series.store import Store
from primus_lens_exporter.serving.telemetry import Telemetry
from primus_lens_webhook.telemetry import Telemetry as WebhookTelemetry

from support.chart import charting
from support.chart.rules import MFU, RECORDING, asked_for, names, promtool
from support.repository import ROOT

MADE = "charts/primus-lens-wandb/dashboards"
FILES = {path.name: path.read_text() for path in sorted((charting.CHART / "dashboards").iterdir())}
BOARDS = {name: json.loads(text) for name, text in FILES.items()}
PANELS = [
    pytest.param(panel, id=f"{name.removesuffix('.json')}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
VARIABLES = ["datasource", "cluster", "namespace", "workload", "run", "pod", "rank"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Those that Grafana shows `noValue` in, in place of what they have not.
HONEST = {"heatmap", "stat", "table", "timeseries"}
FOREIGN = {
    # Prometheus
    "ALERTS", "up",
    # API servers
    "apiserver_admission_webhook_fail_open_count",
    # dcgm-exporter
    "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_XID_ERRORS",
    # AMD's device-metrics-exporter
    "gpu_average_package_power", "gpu_edge_temperature", "gpu_gfx_activity",
    "gpu_junction_temperature", "gpu_package_power", "gpu_used_vram",
    # kube-state-metrics
    "kube_pod_container_resource_limits", "kube_pod_container_resource_requests",
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_status_restarts_total", "kube_pod_info",
    # node_exporter
    "node_disk_read_bytes_total", "node_disk_written_bytes_total",
    "node_infiniband_port_data_received_bytes_total", "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes", "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total", "node_uname_info",
}  # fmt: skip

each_board = pytest.mark.parametrize("name", BOARDS)
each_panel = pytest.mark.parametrize("panel", PANELS)


def queries(board):
    """Everything that Prometheus is asked, by the names of what asks."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for mark in board["annotations"]["list"]:
        yield mark["name"], mark["expr"]
    for variable in board["templating"]["list"]:
        if query := re.fullmatch(r"query_result\((.*)\)", variable["query"], re.DOTALL):
            yield variable["name"], query[1]


QUERIES = [
    pytest.param(expr, id=f"{name.removesuffix('.json')}: {title}")
    for name, board in BOARDS.items()
    for title, expr in queries(board)
]


def chosen(query, **values):
    """A query as Grafana sends it; All where nothing is chosen."""
    values = {"__rate_interval": "5m", "__range": "1h", **values}
    return re.sub(r"\$([a-z_]\w*)", lambda each: values.get(each[1], ".*"), query)


def ours():
    """The names of all series that exporter, webhook and recording rules have."""
    exporter, webhook = Telemetry(), WebhookTelemetry()
    KubernetesTelemetry(exporter.registry, PodCache())
    SendingTelemetry(exporter.registry, REMOTE_WRITE)
    SendingTelemetry(exporter.registry, OTLP)
    webhook.sync_gauge()
    counts = exporter.new_counts()
    counts.lag[()], counts.stuck["/"] = (0, 0.0), 0.0
    text = (exporter.render() + webhook.render()).decode()
    own = {
        f"{name}_bucket" if kind == "histogram" else name
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    }
    families = Store(SeriesRules()).families
    recorded = names(yaml.safe_load(RECORDING.read_text()), "record")
    return own | {family.name for family in families} | {*MEASURES, *recorded, MFU}


def test_the_boards_and_their_page_are_what_their_code_makes(tmp_path):
    for made in (MADE, "docs"):
        (tmp_path / made).mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "boards.md", tmp_path / "docs")
    command = [sys.executable, "-m", "primus_lens_boards", tmp_path]
    subprocess.run(command, cwd=ROOT / "boards", check=True)
    assert {path.name: path.read_text() for path in (tmp_path / MADE).iterdir()} == FILES, (
        "run `make boards`"
    )
    page = (ROOT / "docs" / "boards.md").read_text()
    assert (tmp_path / "docs" / "boards.md").read_text() == page, "run `make boards`"


def test_prometheus_understands_every_query(tmp_path):
    rules = [
        {"record": "a:b", "labels": {"n": str(number)}, "expr": chosen(query.values[0])}
        for number, query in enumerate(QUERIES)
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}))
    done = promtool("check", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.exhaustive
@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_only_for_series_that_there_are(query):
    assert asked_for(query) - FOREIGN <= ours()


def test_no_foreign_series_is_listed_that_no_query_asks_for():
    assert set().union(*(asked_for(query.values[0]) for query in QUERIES)) >= FOREIGN


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_the_chosen_clusters_alone(query):
    for name in asked_for(query):
        assert not re.search(rf'(?<![\w:"]){name}\b(?!:)(?!{{cluster=~"\$cluster")', query), name


@each_panel
def test_a_panel_says_what_it_shows_and_what_is_missing_where_it_shows_nothing(panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["type"] in HONEST
    assert all((panel["title"], panel["description"], defaults["unit"], defaults["noValue"]))
    assert panel["description"].endswith(".")


@each_panel
def test_numbers_have_units_that_grafana_knows(panel):
    config = panel["fieldConfig"]
    of_columns = [
        each["value"]
        for override in config["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    ]
    for unit in (config["defaults"]["unit"], *of_columns):
        assert unit in vars(units).values() or unit.startswith(("suffix: ", "si: "))


@each_panel
def test_a_panel_asks_the_chosen_data_source(panel):
    assert [panel["datasource"], *(each["datasource"] for each in panel["targets"])] == [SOURCE] * (
        1 + len(panel["targets"])
    )


@each_board
def test_a_board_is_as_those_of_others_are(name):
    board = BOARDS[name]
    assert board["schemaVersion"] >= 39
    assert (board["refresh"], board["timezone"]) == ("30s", "browser")
    assert "__inputs" not in FILES[name]
    asking = (*board["annotations"]["list"], *board["templating"]["list"][1:])
    assert all(each["datasource"] == SOURCE for each in asking)
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


@each_board
def test_the_panels_of_a_board_fill_its_width_and_do_not_overlap(name):
    places = [panel["gridPos"] for panel in BOARDS[name]["panels"]]
    cells = [
        (column, line)
        for place in places
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) == 24 * (1 + max(line for _, line in cells))


@each_board
def test_a_board_is_found_by_an_id_that_stays(name):
    assert BOARDS[name]["uid"] == hashlib.md5(name.encode()).hexdigest()
    assert BOARDS[name]["title"].startswith("Primus Lens / ")


@each_board
def test_links_lead_to_our_boards_and_carry_the_choice_along(name):
    assert set(re.findall(r"/d/(\w+)", FILES[name])) <= {each["uid"] for each in BOARDS.values()}
    [link] = BOARDS[name]["links"]
    assert link["tags"] == BOARDS[name]["tags"] == ["primus-lens"]
    assert link["includeVars"] is link["keepTime"] is link["asDropdown"] is True


def test_each_board_can_be_reached_from_a_row_or_the_dropdown():
    rows = set(re.findall(r"/d/(\w+)", FILES["primus-lens-runs.json"]))
    named = ("run", "ranks", "hardware")
    assert rows == {BOARDS[f"primus-lens-{each}.json"]["uid"] for each in named}


@each_board
def test_a_board_has_the_variables_and_uses_no_others(name):
    variables = [each["name"] for each in BOARDS[name]["templating"]["list"]]
    assert variables[: len(VARIABLES)] == VARIABLES
    used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", FILES[name]))
    assert used - {each for each in used if each.startswith("__")} <= set(variables)
    assert {each for each in used if each.startswith("__")} <= {
        "__all", "__data", "__range", "__rate_interval", "__url_time_range",
    }  # fmt: skip


@each_board
def test_the_queries_of_variables_are_on_one_line_or_grafana_would_not_know_them(name):
    variables = BOARDS[name]["templating"]["list"][1:]
    known = re.compile(r"(label_values\(.+, \w+|query_result\(.+)\)")  # with dots as in JavaScript
    assert [each["name"] for each in variables if not known.fullmatch(each["query"])] == []


@each_board
def test_everything_is_chosen_where_a_label_does_not_exist(name):
    variables = {each["name"]: each for each in BOARDS[name]["templating"]["list"]}
    for each in ("cluster", "namespace", "workload", "pod", "rank"):
        assert variables[each]["allValue"] == ".*"
        assert variables[each]["current"]["value"] == "$__all"


SERIES = 'primus_lens_wandb_step{{run_id="r",node_rank="{}",local_rank="{}"}}'
RANKS = [("0", "0"), ("0", "1"), ("1", "1"), ("1", "11")]


@pytest.mark.parametrize(
    ("rank", "expected"),
    [
        (".*", RANKS),
        ("1/1", [("1", "1")]),
        ("(0/0|1/11)", [("0", "0"), ("1", "11")]),
        ("7/7", []),
    ],
)
def test_a_rank_is_chosen_by_both_of_its_numbers(tmp_path, rank, expected):
    [panel] = [
        panel
        for panel in BOARDS["primus-lens-run.json"]["panels"]
        if (panel["title"], panel["type"]) == ("Step", "timeseries")
    ]
    samples = [
        {
            "labels": f'{{run_id="r",node_rank="{node}",local_rank="{local}",'
            f'rank="{node}/{local}",kept="yes"}}',
            "value": 7,
        }
        for node, local in expected
    ]
    query = {"expr": chosen(panel["targets"][0]["expr"], rank=rank), "eval_time": "1m"}
    test = {
        "interval": "1m",
        "input_series": [{"series": SERIES.format(*each), "values": "7x5"} for each in RANKS],
        "promql_expr_test": [{**query, "exp_samples": samples}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"tests": [test]}))
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def config_maps(**values):
    made = charting.documents({"dashboards": {"enabled": True, **values}})
    return [each for each in made if each["metadata"]["name"].partition("-board-")[1]]


def test_there_is_a_config_map_of_each_board_as_it_is():
    maps = config_maps()
    assert {name: text for each in maps for name, text in each["data"].items()} == FILES
    assert len(maps) == len(FILES)
    assert all(len(json.dumps(each)) < 1 << 20 for each in maps)


def test_the_sidecar_finds_them_by_the_label_and_folder_that_it_looks_for():
    for each in config_maps():
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["metadata"]["annotations"] == {"grafana_folder": "Primus Lens"}
        assert each["metadata"]["namespace"] == "monitoring"
    for each in config_maps(
        namespace="other", labels={"mine": "yes"}, annotations={"grafana_folder": "Mine"}
    ):
        assert each["metadata"]["labels"]["mine"] == "yes"
        assert each["metadata"]["annotations"] == {"grafana_folder": "Mine"}
        assert each["metadata"]["namespace"] == "other"


def test_there_are_none_unless_they_are_enabled():
    assert not [each for each in charting.documents() if "-board-" in each["metadata"]["name"]]
