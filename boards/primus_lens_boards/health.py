# SPDX-License-Identifier: Apache-2.0
"""Exporter and injection health: whether what the other boards show is all that there is."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from primus_lens_boards import injection
from primus_lens_boards.frame import HEALTH, Row, board
from primus_lens_boards.panels import NONE_IS_GOOD, Query, Steps, graph, number

NO_EXPORTER = "No exporter is scraped: podMonitor.enabled=true, or docs/exporter.md"
EXPORTER = "on (cluster, job, instance) primus_lens_exporter_build_info{@cluster}"
WHO = "{{namespace}}/{{pod}}{{path}}"
LATE: Steps = ((None, "green"), (10, "orange"), (60, "red"))


def counted(name: str, label: str, further: str = "") -> str:
    """A counter of all exporters a second, by a label."""
    series = f"primus_lens_exporter_{name}{{@cluster{further}}}"
    return f"sum by ({label}) (rate({series}[$__rate_interval]))"


def gauge(name: str) -> Query:
    """A gauge of each exporter."""
    return Query(f"primus_lens_exporter_{name}{{@cluster}}", "{{instance}}")


UP = (
    "up{@cluster} and on (cluster, job, instance) "
    "max_over_time(primus_lens_exporter_build_info{@cluster}[1d])"
)
IN_AN_HOUR = "sum(increase(primus_lens_exporter_%s{@cluster%s}[1h]))"
NOW = Row(
    "Exporters, now",
    [
        number(
            "Up",
            "Exporters that can be scraped.",
            Query(f"sum({UP})"),
            unit="short",
            absent=NO_EXPORTER,
        ),
        number(
            "Down",
            "Exporters of the last day that cannot be scraped. "
            "Those that are gone with their node are not among them.",
            Query(f"count(({UP}) == 0) or 0 * count({UP})"),
            unit="short",
            absent=NO_EXPORTER,
            steps=NONE_IS_GOOD,
        ),
        number(
            "Behind by",
            "Greatest age of the newest record read, of pods of which more waits.",
            Query("max(primus_lens_exporter_lag_seconds{@pod})"),
            unit="s",
            absent="0 s: no pod is being followed",
            steps=LATE,
        ),
        number(
            "Values without a series",
            "Values of the last hour that got no series for a limit; not those of "
            "--keys.allow and --keys.deny.",
            Query(IN_AN_HOUR % ("dropped_series_total", ', reason!="key_rules"')),
            unit="short",
            absent=NO_EXPORTER,
            steps=NONE_IS_GOOD,
        ),
        number(
            "Files refused",
            "Files of the last hour that were not read, for what they are.",
            Query(IN_AN_HOUR % ("refused_files_total", "")),
            unit="short",
            absent=NO_EXPORTER,
            steps=NONE_IS_GOOD,
        ),
        number(
            "Faults",
            "Errors of the exporters themselves in the last hour; their logs have more.",
            Query(IN_AN_HOUR % ("faults_total", "")),
            unit="short",
            absent=NO_EXPORTER,
            steps=NONE_IS_GOOD,
        ),
    ],
)

READING = Row(
    "Reading",
    [
        graph(
            "Lines read",
            "Lines a second by what they were; docs/metrics.md explains each.",
            Query(counted("lines_total", "result"), "{{result}}"),
            unit="suffix: lines/s",
            absent=NO_EXPORTER,
        ),
        graph(
            "Bytes behind",
            "Bytes that wait to be read, of each pod or path.",
            Query("primus_lens_exporter_lag_bytes{@pod}", WHO),
            unit="bytes",
            absent="No pod is being followed",
        ),
        graph(
            "Seconds behind",
            "Age of the newest record read, of each pod or path of which more waits.",
            Query("primus_lens_exporter_lag_seconds{@pod}", WHO),
            unit="s",
            absent="No pod is being followed",
        ),
        graph(
            "Duration of a look",
            "How long the newest of the four looks a second took, of each exporter.",
            gauge("tick_duration_seconds"),
            unit="s",
            absent=NO_EXPORTER,
        ),
    ],
)

LIMITS = Row(
    "What is left out",
    [
        graph(
            "Values without a series",
            "Values a second that got no series, by reason.",
            Query(counted("dropped_series_total", "reason"), "{{reason}}"),
            unit="suffix: values/s",
            absent=NO_EXPORTER,
            width=8,
        ),
        graph(
            "Files refused",
            "Files and directories a second that were not read, by reason.",
            Query(counted("refused_files_total", "reason"), "{{reason}}"),
            unit="suffix: files/s",
            absent=NO_EXPORTER,
            width=8,
        ),
        graph(
            "Limits",
            "Times a second that something was put off or left out, by limit.",
            Query(counted("limited_total", "limit"), "{{limit}}"),
            unit="suffix: times/s",
            absent=NO_EXPORTER,
            width=8,
        ),
    ],
)

COST = Row(
    "What exporters cost",
    [
        graph(
            "CPU",
            "CPUs that each exporter uses.",
            Query(
                f"rate(process_cpu_seconds_total{{@cluster}}[$__rate_interval]) and {EXPORTER}",
                "{{instance}}",
            ),
            unit="suffix: CPUs",
            absent=NO_EXPORTER,
        ),
        graph(
            "Memory",
            "Resident memory of each exporter.",
            Query(f"process_resident_memory_bytes{{@cluster}} and {EXPORTER}", "{{instance}}"),
            unit="bytes",
            absent=NO_EXPORTER,
        ),
        graph(
            "Series",
            "Series of trainings on the page of each exporter.",
            gauge("series"),
            unit="short",
            absent=NO_EXPORTER,
            width=8,
        ),
        graph(
            "Files",
            "Files that each exporter follows.",
            gauge("files"),
            unit="short",
            absent=NO_EXPORTER,
            width=8,
        ),
        graph(
            "Clients refused",
            "Connections and requests a second that exporters refused, by reason.",
            Query(counted("http_rejected_total", "reason"), "{{reason}}"),
            unit="reqps",
            absent=NO_EXPORTER,
            width=8,
        ),
    ],
)

NO_REMOTE_WRITE = "Remote write is not used: exporter.remoteWrite.url"
REMOTE_WRITE = Row(
    "Remote write",
    [
        graph(
            "Samples",
            "Samples a second that left the spool, by what the receiver did; "
            "and those that were not sent, by reason.",
            Query(counted("remote_write_samples_total", "result"), "{{result}}"),
            Query(counted("remote_write_dropped_samples_total", "reason"), "not sent: {{reason}}"),
            unit="suffix: samples/s",
            absent=NO_REMOTE_WRITE,
        ),
        graph(
            "Requests",
            "Requests a second by their outcome.",
            Query(counted("remote_write_requests_total", "result"), "{{result}}"),
            unit="reqps",
            absent=NO_REMOTE_WRITE,
        ),
        graph(
            "Backlog",
            "Bytes of the requests that wait in each exporter's spool.",
            gauge("remote_write_spool_bytes"),
            unit="bytes",
            absent=NO_REMOTE_WRITE,
            width=8,
        ),
        graph(
            "Newest sample sent",
            "Age of the newest sample that the receiver has acknowledged.",
            Query(
                "time() - (primus_lens_exporter_remote_write_newest_sent_timestamp_seconds"
                "{@cluster} > 0)",
                "{{instance}}",
            ),
            unit="s",
            absent=f"{NO_REMOTE_WRITE}; or nothing was sent yet",
            width=8,
        ),
        graph(
            "Trouble with the spool",
            "Seconds a second for which lines waited in their files, since the spool took no "
            "more; and writes to the disk that failed.",
            Query(
                counted("remote_write_backpressure_seconds_total", "instance"),
                "{{instance}} waited",
            ),
            Query(counted("remote_write_spool_errors_total", "instance"), "{{instance}} failed"),
            unit="short",
            absent=NO_REMOTE_WRITE,
            width=8,
        ),
    ],
)


def dashboard() -> models.Dashboard:
    """The board."""
    return board(
        HEALTH,
        "Exporter and injection health",
        "Whether everything that trainings log is read, and every pod that asks has the hook.",
        [NOW, READING, LIMITS, *injection.ROWS, REMOTE_WRITE, COST],
        marked=False,
    )
