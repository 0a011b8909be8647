# SPDX-License-Identifier: Apache-2.0
"""Pods that live for seconds.

The kubelet deletes a pod's emptyDir within a second of its end, and these end as soon as
their last line is written.
"""

import json
import time
from collections import Counter

import pytest

from support import cluster_world
from support.cluster_world import job, kubectl, values
from support.short_job import LINES_A_SECOND

cluster_world.require()

JOBS, SECONDS = 100, 5


@pytest.mark.timeout(900)
def test_every_line_of_a_hundred_short_jobs_is_counted(namespace, exporter):
    lines = {f"job-{n}": (1 + n % SECONDS) * LINES_A_SECOND for n in range(JOBS)}
    jobs = [job(name, count, n % 3) for n, (name, count) in enumerate(lines.items())]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": jobs})
    kubectl("-n", namespace, "create", "-f", "-", input=everything)
    counted, scrapes_of_last_value = {}, Counter()
    deadline = time.monotonic() + 800
    while min(scrapes_of_last_value[pod] for pod in counted or [""]) < 2 or len(counted) < JOBS:
        assert time.monotonic() < deadline, (len(counted), scrapes_of_last_value)
        time.sleep(5)
        page = exporter.page()
        counted |= values(page, namespace, "primus_lens_wandb_records_total")
        last = values(page, namespace, "primus_lens_wandb_metric", 'key="left"')
        scrapes_of_last_value.update(pod for pod, left in last.items() if left == 0)
    print(f"{sum(lines.values())} lines written, {sum(counted.values()):.0f} counted")  # noqa: T201
    assert {pod.rpartition("-")[0]: count for pod, count in counted.items()} == lines
    assert exporter.value("primus_lens_exporter_faults_total") == 0
