# SPDX-License-Identifier: Apache-2.0
"""Whether pods get the hook: the middle of Exporter and injection health."""

from __future__ import annotations

from primus_lens_boards.frame import Row
from primus_lens_boards.panels import NONE_IS_GOOD, TWO_IS_LATE, Query, Steps, graph, number
from primus_lens_boards.tables import Column, listing

NO_PODS = "The exporter knows no pods: it runs outside Kubernetes, or is not scraped"
NO_WEBHOOK = "No webhook is scraped: webhook.enabled=true, and podMonitor.enabled=true"
WEEK: Steps = ((None, "red"), (7 * 86400, "green"))  # seconds
IN_SYNC: Steps = ((None, "red"), (1, "green"))
# It only appears with its first failure, which `increase` does not see.
FAILED = (
    "apiserver_admission_webhook_fail_open_count"
    r'{@cluster, name=~"(pod|namespace)\\.wandb\\.primus-lens\\.io"}'
)
BUCKETS = "primus_lens_webhook_admission_duration_seconds_bucket{@cluster}"


def _quantile(share: float) -> Query:
    rate = f"sum by (le) (rate({BUCKETS}[$__rate_interval]))"
    return Query(f"histogram_quantile({share}, {rate})", f"{share:.0%}")


PODS = Row(
    "Pods",
    [
        graph(
            "Pods by what the webhook made of them",
            "Of all exporters: injected; skipped, with the reason in the pod's annotation; "
            "and those that ask by their label and were created while no webhook answered.",
            Query("sum by (state) (primus_lens_exporter_pods{@cluster})", "{{state}}"),
            unit="suffix: pods",
            absent=NO_PODS,
            width=8,
        ),
        graph(
            "Age of the watch",
            "Time since the Kubernetes API last said anything to each exporter; "
            "a minute at most when all is well.",
            Query("primus_lens_exporter_kubernetes_watch_age_seconds{@cluster}", "{{instance}}"),
            unit="s",
            absent=NO_PODS,
            width=8,
        ),
        graph(
            "Requests to the Kubernetes API",
            "Requests a second, by how they ended; and pods that made no sense.",
            Query(
                "sum by (verb, result) (rate("
                "primus_lens_exporter_kubernetes_requests_total{@cluster}[$__rate_interval]))",
                "{{verb}} {{result}}",
            ),
            Query(
                "sum(rate(primus_lens_exporter_kubernetes_decode_failures_total{@cluster}"
                "[$__rate_interval]))",
                "pods passed over",
            ),
            unit="reqps",
            absent=NO_PODS,
            width=8,
        ),
        listing(
            "Injected, but silent",
            "Injected pods that run and have not written a record: they do not use wandb, "
            "or Python does not find the hook. Of a training of many pods, often one logs.",
            {
                "namespace": "Namespace",
                "pod": "Pod",
                "workload": "Workload",
                "workload_kind": "Kind",
            },
            Column(
                "Silent",
                "max by (cluster, namespace, pod, workload, workload_kind) "
                "(primus_lens_exporter_pod_silent_seconds{@pod})",
                "s",
                steps=TWO_IS_LATE,
            ),
            absent="None, or the exporter knows no pods",
            sort=("Silent", True),
        ),
    ],
)

EXPIRY = "primus_lens_webhook_certificate_expiry_timestamp_seconds{@cluster}"
WEBHOOK_NOW = Row(
    "Webhook, now",
    [
        number(
            "Up",
            "Replicas that can be scraped.",
            Query("count(primus_lens_webhook_build_info{@cluster})"),
            unit="short",
            absent=NO_WEBHOOK,
            width=6,
        ),
        number(
            "Certificate ends in",
            "The least of all replicas; they renew it at two thirds of its life.",
            Query(f"min(({EXPIRY} > 0) - time())"),
            unit="s",
            absent=NO_WEBHOOK,
            width=6,
            steps=WEEK,
        ),
        number(
            "CA bundle",
            "Whether API servers trust the certificate of every replica.",
            Query("min(primus_lens_webhook_ca_bundle_in_sync{@cluster})"),
            unit="bool_yes_no",
            absent="Only replicas that look after it themselves know: certs.mode=selfManaged",
            width=6,
            steps=IN_SYNC,
        ),
        number(
            "Failing open",
            "Pods of the last hour that API servers let through without an answer.",
            Query(f"sum({FAILED} unless {FAILED} offset 1h or increase({FAILED}[1h]))"),
            unit="short",
            absent="API servers have counted none, or are not scraped",
            width=6,
            steps=NONE_IS_GOOD,
        ),
    ],
)

WEBHOOK = Row(
    "Webhook",
    [
        graph(
            "Admissions",
            "Pods a second that were decided on, by decision and reason.",
            Query(
                "sum by (decision, reason) (rate("
                "primus_lens_webhook_admissions_total{@cluster}[$__rate_interval]))",
                "{{decision}} {{reason}}",
            ),
            unit="suffix: pods/s",
            absent=NO_WEBHOOK,
            width=8,
        ),
        graph(
            "Time for an answer",
            "Quantiles of the time from a question to its answer; API servers wait for 3 s.",
            _quantile(0.5),
            _quantile(0.9),
            _quantile(0.99),
            unit="s",
            absent=f"No pod was decided on in this time, or: {NO_WEBHOOK}",
            width=8,
        ),
        graph(
            "Clients refused",
            "Connections and requests a second that replicas refused, by reason.",
            Query(
                "sum by (reason) (rate("
                "primus_lens_webhook_http_rejected_total{@cluster}[$__rate_interval]))",
                "{{reason}}",
            ),
            unit="reqps",
            absent=NO_WEBHOOK,
            width=8,
        ),
    ],
)


ROWS = [PODS, WEBHOOK_NOW, WEBHOOK]
