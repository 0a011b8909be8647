# SPDX-License-Identifier: Apache-2.0
"""The API server is away for a minute. Last of all: the others need it."""

import json
import os
import subprocess
import time

import pytest

from support import cluster_world
from support.cluster_world import job, kubectl, values
from support.serving import until

cluster_world.require()

STOP, START = os.environ.get("E2E_API_STOP"), os.environ.get("E2E_API_START")
if not (STOP and START):
    pytest.skip("E2E_API_STOP and E2E_API_START do not say how", allow_module_level=True)

AWAY_SECONDS = 60
RECORDS = "primus_lens_wandb_records_total"
AGE = "primus_lens_exporter_kubernetes_watch_age_seconds"


def run(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def create(namespace, name, lines):
    kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(job(name, lines, 0)))


@pytest.mark.timeout(400)
def test_what_is_known_is_served_meanwhile_and_afterwards_all_is_known(namespace, exporter):
    lines = 20 * (AWAY_SECONDS + 30)
    create(namespace, "before", lines)
    until(lambda: values(exporter.page(), namespace, RECORDS), 60)
    run(STOP)
    try:
        went = time.monotonic()
        (before,) = values(exporter.page(), namespace, RECORDS).values()
        while time.monotonic() - went < AWAY_SECONDS:
            time.sleep(5)
            (now,) = values(exporter.page(), namespace, RECORDS).values()
            assert now > before  # it goes on
            before = now
        assert exporter.value(AGE) > AWAY_SECONDS / 2
    finally:
        run(START)
    until(lambda: exporter.value(AGE) < 5, 120)
    create(namespace, "after", 10)
    until(lambda: sorted(values(exporter.page(), namespace, RECORDS).values()) == [10, lines], 120)
    assert exporter.value("primus_lens_exporter_faults_total") == 0
