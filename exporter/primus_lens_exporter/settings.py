# SPDX-License-Identifier: Apache-2.0
"""The exporter's settings, each of them a flag and an environment variable."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from primus_lens_hook import contract
from primus_lens_toolkit.access import WebSettings
from primus_lens_toolkit.flags import boolean, flag, positive
from primus_lens_toolkit.listen import Address, address
from yarl import URL

from primus_lens_exporter.model.key_rules import Named, Pattern, mapping
from primus_lens_exporter.remote_write.config import receiver

ENV_PREFIX = "PRIMUS_LENS_EXPORTER_"


def directory(text: str) -> Path:
    """An existing directory; ValueError otherwise."""
    path = Path(text)
    if not path.exists():
        raise ValueError(f"{text} does not exist; create it, or name the training's output path")
    if not path.is_dir():
        raise ValueError(f"{text} is not a directory; name the directory that holds node_*/")
    return path


def positive_seconds(text: str) -> float:
    """A time above zero; ValueError otherwise."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise ValueError(f"expected seconds above zero, not {text!r}")
    return seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Settings(WebSettings):
    """What one exporter does; read once at the start."""

    records_path: tuple[Path, ...] = flag(
        "--records.path",
        "directory that a training writes to (its PRIMUS_LENS_WANDB_OUTPUT_PATH); repeatable",
        directory,
        default=(),
        repeatable=True,
        metavar="DIR",
    )
    records_kubelet_root: Path | None = flag(
        "--records.kubelet-root",
        "the kubelet's root directory, /var/lib/kubelet on most nodes: reads the "
        f"{contract.RECORDS_VOLUME} emptyDir of each pod on this node",
        directory,
        default=None,
        metavar="DIR",
    )
    records_shared_path: tuple[Path, ...] = flag(
        "--records.shared-path",
        "a volume that many pods write to, laid out NAMESPACE/POD/UID/node_N/rank_L; repeatable",
        directory,
        default=(),
        repeatable=True,
        metavar="DIR",
    )
    records_all_nodes: bool = flag(
        "--records.all-nodes",
        "export the pods of every node, for a single exporter of a shared volume",
        boolean,
        default=False,
    )
    kubernetes_node_name: str = flag(
        "--kubernetes.node-name",
        "the node (spec.nodeName) whose pods are exported",
        default="",
        metavar="NODE",
    )
    kubernetes_pod_labels: tuple[str, ...] = flag(
        "--kubernetes.pod-labels",
        "a pod label that becomes a label of run_info, as label_NAME; repeatable",
        default=(),
        repeatable=True,
        metavar="NAME",
    )
    keys_allow: Pattern | None = flag(
        "--keys.allow",
        "pattern (RE2, matched as a whole) of the logged keys that become series",
        Pattern,
        default=None,
        metavar="PATTERN",
    )
    keys_deny: Pattern | None = flag(
        "--keys.deny",
        "pattern of the logged keys that do not, whatever is allowed",
        Pattern,
        default=None,
        metavar="PATTERN",
    )
    keys_mapping_file: Named | None = flag(
        "--keys.mapping-file",
        "YAML file of proper metric names, in base units, for known keys",
        mapping,
        default=None,
        metavar="FILE",
    )
    web_listen_address: Address = flag(
        "--web.listen-address",
        "address for /metrics; an empty host means every interface, port 0 any free one",
        address,
        default=Address("", 10471),
        metavar="HOST:PORT",
    )
    limits_series_per_pod: int = flag(
        "--limits.series-per-pod",
        "most series of one pod; in a plain directory, of one rank",
        positive,
        default=20_000,
        metavar="COUNT",
    )
    limits_series_per_node: int = flag(
        "--limits.series-per-node",
        "most series of all trainings together",
        positive,
        default=500_000,
        metavar="COUNT",
    )
    limits_keys_per_rank: int = flag(
        "--limits.keys-per-rank",
        "most keys of one run on one rank that become series",
        positive,
        default=2_000,
        metavar="COUNT",
    )
    limits_label_bytes: int = flag(
        "--limits.label-bytes",
        "longest label value; longer keys and run ids get no series, longer names are cut",
        positive,
        default=512,
        metavar="BYTES",
    )
    limits_line_bytes: int = flag(
        "--limits.line-bytes",
        "longest line that is read; longer ones are passed over",
        positive,
        default=1 << 20,
        metavar="BYTES",
    )
    limits_bytes_per_tick: int = flag(
        "--limits.bytes-per-tick",
        "most that is read of one pod in each of the four ticks of a second",
        positive,
        default=4 << 20,
        metavar="BYTES",
    )
    limits_seconds_per_tick: float = flag(
        "--limits.seconds-per-tick",
        "most time that is spent on one pod in each tick",
        positive_seconds,
        default=0.05,
        metavar="SECONDS",
    )
    limits_files_per_pod: int = flag(
        "--limits.files-per-pod",
        "most files of one pod that are followed; in a plain directory, of one rank",
        positive,
        default=1_000,
        metavar="COUNT",
    )
    limits_ranks_per_volume: int = flag(
        "--limits.ranks-per-volume",
        "most rank directories of one pod, or of one plain directory",
        positive,
        default=4_096,
        metavar="COUNT",
    )
    limits_directory_entries: int = flag(
        "--limits.directory-entries",
        "most entries of one directory that are looked at",
        positive,
        default=4_096,
        metavar="COUNT",
    )
    limits_trails_per_pod: int = flag(
        "--limits.trails-per-pod",
        "most runs of one pod, each on one rank, whose last hour is kept for hints on the live "
        "page; in a plain directory, of one rank",
        positive,
        default=256,
        metavar="COUNT",
    )
    limits_history_bytes: int = flag(
        "--limits.history-bytes",
        "most of a rank's files that a chart of the live page is drawn from, the newest part",
        positive,
        default=16 << 20,
        metavar="BYTES",
    )
    series_grace_seconds: int = flag(
        "--series.grace-seconds",
        "how long the last values stay after a run has finished or its pod is gone",
        positive,
        default=60,
        metavar="SECONDS",
    )
    remote_write_url: URL | None = flag(
        "--remote-write.url",
        "where every record is sent with its own timestamp, by Prometheus' remote write",
        receiver,
        default=None,
        metavar="URL",
    )
    remote_write_config_file: Path | None = flag(
        "--remote-write.config.file",
        "credentials, TLS and headers for it, in the words of Prometheus' remote_write",
        Path,
        default=None,
        metavar="FILE",
    )
    remote_write_spool_directory: Path | None = flag(
        "--remote-write.spool-directory",
        "where requests wait that are not acknowledged yet; needed for remote write",
        Path,
        default=None,
        metavar="DIR",
    )
    remote_write_spool_bytes: int = flag(
        "--remote-write.spool-bytes",
        "most that waits there; then records wait in their files",
        positive,
        default=1 << 30,
        metavar="BYTES",
    )

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense together."""
        if not (self.records_path or self.of_pods):
            raise ValueError(
                "nothing to read: give --records.path, --records.kubelet-root or "
                "--records.shared-path"
            )
        if self.of_pods and not self.kubernetes_node_name and not self.records_all_nodes:
            raise ValueError(
                "whose pods? give --kubernetes.node-name, or --records.all-nodes for one "
                "exporter of a whole cluster"
            )

        if self.remote_write_url and not self.remote_write_spool_directory:
            raise ValueError(
                "remote write needs --remote-write.spool-directory, on a disk that outlives us"
            )

    @property
    def of_pods(self) -> bool:
        """Whether pods are exported, and Kubernetes is asked who they are."""
        return self.records_kubelet_root is not None or bool(self.records_shared_path)
