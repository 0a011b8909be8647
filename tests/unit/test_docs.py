# SPDX-License-Identifier: Apache-2.0
"""Every name that users meet is in the documentation."""

import dataclasses
import re

import pytest
from primus_lens_exporter.model.drops import DROPS
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry
from primus_lens_exporter.reading import counts
from primus_lens_exporter.sampling.config import Written, load
from primus_lens_exporter.sampling.rules import RANKS, REASONS
from primus_lens_exporter.sampling.telemetry import SamplingSeries
from primus_lens_exporter.sending.telemetry import OTLP, REMOTE_WRITE, SendingTelemetry
from primus_lens_exporter.series.store import Store
from primus_lens_exporter.serving.telemetry import Telemetry
from primus_lens_exporter.settings import Settings
from primus_lens_hook import contract
from primus_lens_toolkit import rejections
from primus_lens_webhook import decision, inject_cli

from support.repository import ROOT


def test_every_setting_of_the_hook_is_in_the_readme():
    text = (ROOT / "README.md").read_text()
    names = [value for name, value in vars(contract).items() if name.startswith("ENV_")]
    names.remove(contract.ENV_PREFIX)
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_flag_of_the_exporter_is_in_the_docs():
    text = (ROOT / "docs" / "exporter.md").read_text()
    flags = [field.metadata["flag"] for field in dataclasses.fields(Settings)]
    assert [flag for flag in flags if f"`{flag}`" not in text] == []


def test_every_series_is_in_the_docs():
    text = (ROOT / "docs" / "metrics.md").read_text()
    text += (ROOT / "docs" / "remote-write.md").read_text()
    text += (ROOT / "docs" / "otlp.md").read_text()
    registry = Telemetry().registry
    KubernetesTelemetry(registry, PodCache())
    SendingTelemetry(registry, REMOTE_WRITE)
    SendingTelemetry(registry, OTLP)
    registry.register(SamplingSeries({}))
    own = [metric.name for metric in registry.collect() if "exporter" in metric.name]
    assert [name for name in own if name not in text] == []
    store = Store(SeriesRules())
    assert [family.name for family in store.families if f"`{family.name}`" not in text] == []


def test_every_reason_is_in_the_docs():
    text = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    reasons = (*counts.REFUSALS, *counts.LIMITS, *DROPS, *rejections.REASONS)
    assert [reason for reason in reasons if reason not in text] == []


def test_every_word_of_sampling_is_in_the_docs():
    text = (ROOT / "docs" / "sampling.md").read_text()
    words = (*Written.__struct_fields__, *RANKS, *REASONS)
    assert [word for word in words if f"`{word}" not in text] == []


def test_the_rules_of_the_docs_are_right(tmp_path):
    text = (ROOT / "docs" / "sampling.md").read_text()
    path = tmp_path / "sampling.yaml"
    path.write_text(re.search("```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert len(load(path)) == 4


def test_every_reason_of_the_webhook_is_in_its_table():
    rows = re.findall(
        r"^\| (`[^|]*) \|", (ROOT / "docs" / "injection.md").read_text(), re.MULTILINE
    )
    told = set(re.findall("`([^`]+)`", "".join(rows)))
    assert [
        reason for reason in (*decision.REASONS, inject_cli.COMMAND) if reason not in told
    ] == []


def test_no_file_is_larger_than_a_screenful_of_thought():
    sources = [path for part in ("hook", "exporter", "toolkit", "webhook", "cli", "demo", "boards")
               for path in (ROOT / part).rglob("*.py")]  # fmt: skip
    assert [path.name for path in sources if len(path.read_text().splitlines()) > 300] == []


def test_every_helm_command_names_its_namespace():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "charts").rglob("*.md")]
    text = "\n".join(page.read_text() for page in pages).replace("\\\n", "")
    commands = re.findall(r"^helm .*$", text, re.MULTILINE)
    assert len(commands) > 5
    assert [each for each in commands if "--namespace" not in each] == []


def anchors(page):
    """The targets in a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[cm]*/**/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text())
    targets = [((page.parent / path) if path else page, anchor) for path, anchor in links]
    assert [path for path, _ in targets if not path.exists()] == []
    assert [each for each in targets if each[1] and each[1] not in anchors(each[0])] == []


@pytest.mark.parametrize("page", ["training.md", "operating.md"])
def test_the_readme_links_each_page_of_questions(page):
    assert f"](docs/{page})" in (ROOT / "README.md").read_text()
