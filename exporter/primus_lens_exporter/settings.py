# SPDX-License-Identifier: Apache-2.0
"""The exporter's settings, each a flag and an environment variable: those of its parts together.

A part's own are defined beside the part, which never sees the others'.
"""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import Future
from pathlib import Path

from primus_lens_hook import contract
from primus_lens_hook.mounts import hanging_type
from primus_lens_toolkit.flags import boolean, flag, limit
from primus_lens_toolkit.web_settings import Address, WebSettings, address

from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.otlp.settings import OtlpSettings
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.remote_write.settings import RemoteWriteSettings
from primus_lens_exporter.sampling.settings import SamplingSettings

ENV_PREFIX = "PRIMUS_LENS_EXPORTER_"


ANSWER_SECONDS = 2.0  # a file system that hangs keeps nobody from starting for longer


def directory(text: str) -> Path:
    """An existing directory, or one of a file system that hangs; ValueError otherwise."""
    path = Path(text)
    if hanging_type(str(path.absolute())) is None:
        return _existing(path)
    answer: Future[Path] = Future()
    threading.Thread(target=_answer, args=(answer, path), daemon=True).start()
    try:
        return answer.result(ANSWER_SECONDS)
    except TimeoutError:
        return path


def _answer(answer: Future[Path], path: Path) -> None:
    try:
        answer.set_result(_existing(path))
    except Exception as error:
        answer.set_exception(error)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ValueError(f"{path} does not exist; create it, or name the training's output path")
    if not path.is_dir():
        raise ValueError(f"{path} is not a directory; name the directory that holds node_*/")
    return path


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """Where records lie, and whose pods are exported."""

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

    @property
    def of_pods(self) -> bool:
        """Whether pods are exported, and Kubernetes is asked who they are."""
        return self.records_kubelet_root is not None or bool(self.records_shared_path)


@dataclasses.dataclass(frozen=True)
class Settings(
    OtlpSettings,
    RemoteWriteSettings,
    SamplingSettings,
    ReadingSettings,
    SeriesRules,
    SourceSettings,
    WebSettings,
):
    """What one exporter does; read once at the start."""

    web_listen_address: Address = flag(
        "--web.listen-address",
        "address for /metrics; an empty host means every interface, port 0 any free one",
        address,
        default=Address("", 10471),
        metavar="HOST:PORT",
    )
    limits_history_bytes: int = limit(
        "--limits.history-bytes",
        "most of a rank's files that a chart of the live page is drawn from, the newest part",
        16 << 20,
        "BYTES",
    )

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense together."""
        SourceSettings.__post_init__(self)
        RemoteWriteSettings.__post_init__(self)
        OtlpSettings.__post_init__(self)
