# SPDX-License-Identifier: Apache-2.0
"""Hardware beside training: what the run's GPUs, pods and nodes do, beside its speed and loss.

Each join gives a series its run. Where a source is absent, its row says what to install.
"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from primus_lens_boards import nodes
from primus_lens_boards.frame import HARDWARE, Row, board
from primus_lens_boards.panels import GOOD, Query, graph, number
from primus_lens_boards.promql import (
    STEPS_PER_SECOND,
    TRAINING_LOSS,
    of_amd,
    of_container,
    of_uuid,
    ranked,
)
from primus_lens_boards.runs import NO_RUN

NO_SAMPLES = "Needs injection.systemMetrics=true, and the recording rules"
NO_DCGM = "Needs dcgm-exporter, injection.systemMetrics=true, and the recording rules"
NO_AMD = "Needs AMD's device-metrics-exporter with honor_labels, and the recording rules"
GPU = "{{run_id}} {{pod}} GPU {{gpu}}"
MIB = 1 << 20


FOUND = {
    "System metrics": (
        "Pods whose ranks sample CPU, memory and GPUs.",
        "count(group by (@by_container) (primus_lens_system_cpu_utilization_ratio{@pod}))",
        "Absent: injection.systemMetrics=true",
        "suffix: pods",
    ),
    "Recording rules": (
        "Containers whose run the recording rules know; they make the joins below.",
        "count(primus_lens:run_of_container{@rank})",
        "Absent: rules.enabled=true, or load the files in rules/",
        "suffix: containers",
    ),
    "dcgm-exporter": (
        "GPUs that NVIDIA's dcgm-exporter knows, in the whole cluster.",
        "count(DCGM_FI_DEV_GPU_UTIL{@cluster})",
        "Absent. For NVIDIA's GPUs install dcgm-exporter",
        "suffix: GPUs",
    ),
    "device-metrics-exporter": (
        "GPUs that AMD's device-metrics-exporter knows, in the whole cluster.",
        "count(gpu_gfx_activity{@cluster})",
        "Absent. For AMD's GPUs install device-metrics-exporter",
        "suffix: GPUs",
    ),
    "node_exporter": (
        "Nodes that node_exporter knows, in the whole cluster.",
        "count(node_uname_info{@cluster})",
        "Absent. For CPU, network and disks of nodes install node_exporter",
        "suffix: nodes",
    ),
    "kube-state-metrics": (
        "Pods that kube-state-metrics knows, in the whole cluster.",
        "count(kube_pod_info{@cluster})",
        "Absent. For limits and restarts install kube-state-metrics",
        "suffix: pods",
    ),
}
SOURCES = Row(
    "Sources",
    [
        number(title, description, Query(expr), unit=unit, absent=absent, steps=GOOD)
        for title, (description, expr, absent, unit) in FOUND.items()
    ],
)

LOSS = f"max by (@by_rank, key) (primus_lens_wandb_metric{{@rank, {TRAINING_LOSS}}})"
TRAINING = Row(
    "Training",
    [
        graph(
            "Steps a second",
            "Of each of the chosen ranks, over five minutes.",
            Query(ranked(STEPS_PER_SECOND), "{{run_id}} {{rank}}"),
            unit="suffix: steps/s",
            absent=NO_RUN,
        ),
        graph(
            "Loss",
            "Keys that are a training loss; mean of the chosen ranks.",
            Query(f"avg by (@by_run, key) ({ranked(LOSS)})", "{{run_id}} {{key}}"),
            unit="short",
            absent="No key that is a loss: choose another one on the board Run",
        ),
    ],
)


def _sampled(metric: str) -> Query:
    newest = f"max by (@by_container, gpu, uuid) ({metric}{{@pod}})"
    return Query(of_container(newest), GPU)


MEMORY_SHARE = (
    "max by (@by_container, gpu, uuid) (primus_lens_gpu_memory_used_bytes{@pod})"
    " / max by (@by_container, gpu, uuid) (primus_lens_gpu_memory_total_bytes{@pod})"
)
SAMPLES = Row(
    "GPUs, as the training's own samples have them",
    [
        graph(
            "GPU utilization",
            "Share of the time in which each GPU was busy with anything at all.",
            Query("primus_lens:gpu_utilization_ratio:joined{@rank}", GPU),
            unit="percentunit",
            absent=NO_SAMPLES,
        ),
        graph(
            "GPU memory",
            "Memory in use of each GPU, as a share of what it has.",
            Query(of_container(MEMORY_SHARE), GPU),
            unit="percentunit",
            absent=NO_SAMPLES,
        ),
        graph(
            "GPU power",
            "Power that each GPU draws.",
            _sampled("primus_lens_gpu_power_watts"),
            unit="watt",
            absent=NO_SAMPLES,
        ),
        graph(
            "GPU temperature",
            "Temperature of each GPU.",
            _sampled("primus_lens_gpu_temperature_celsius"),
            unit="celsius",
            absent=NO_SAMPLES,
        ),
    ],
)

NVIDIA = Row(
    "NVIDIA's GPUs, as dcgm-exporter has them",
    [
        graph(
            "Tensor cores",
            "Share of cycles in which the tensor cores of each GPU were busy: "
            "what no sampler knows. Parts of a GPU (MIG) count as the busiest.",
            Query("primus_lens:gpu_tensor_active_ratio:joined{@rank}", GPU),
            unit="percentunit",
            absent=f"{NO_DCGM}; DCGM_FI_PROF_PIPE_TENSOR_ACTIVE must be among its counters",
            width=8,
        ),
        graph(
            "GPU utilization",
            "Share of the time in which each GPU was busy, to compare with the samples.",
            Query("primus_lens:gpu_dcgm_utilization_ratio:joined{@rank}", GPU),
            unit="percentunit",
            absent=NO_DCGM,
            width=8,
        ),
        graph(
            "GPU memory",
            "Framebuffer in use of each GPU.",
            Query(of_uuid(f"DCGM_FI_DEV_FB_USED{{@cluster}} * {MIB}"), GPU),
            unit="bytes",
            absent=NO_DCGM,
            width=8,
        ),
        graph(
            "GPU power",
            "Power that each GPU draws.",
            Query(of_uuid("DCGM_FI_DEV_POWER_USAGE{@cluster}"), GPU),
            unit="watt",
            absent=NO_DCGM,
            width=8,
        ),
        graph(
            "GPU temperature",
            "Temperature of each GPU.",
            Query(of_uuid("DCGM_FI_DEV_GPU_TEMP{@cluster}"), GPU),
            unit="celsius",
            absent=NO_DCGM,
            width=8,
        ),
        graph(
            "XID errors",
            "Number of the newest error that the driver reported of each GPU; 0 for none.",
            Query(of_uuid("DCGM_FI_DEV_XID_ERRORS{@cluster}"), GPU),
            unit="none",
            absent=NO_DCGM,
            width=8,
        ),
    ],
)

# Newer GPUs have the first of two names, older ones the other.
POWER = 'gpu_package_power{@pod, pod!=""} or gpu_average_package_power{@pod, pod!=""}'
HEAT = 'gpu_junction_temperature{@pod, pod!=""} or gpu_edge_temperature{@pod, pod!=""}'
AMD = Row(
    "AMD's GPUs, as device-metrics-exporter has them",
    [
        graph(
            "GPU utilization",
            "Share of the time in which the graphics engine of each GPU was busy.",
            Query("primus_lens:gpu_amd_utilization_ratio:joined{@rank}", GPU),
            unit="percentunit",
            absent=NO_AMD,
        ),
        graph(
            "GPU memory",
            "VRAM in use of each GPU.",
            Query(of_amd(f'gpu_used_vram{{@pod, pod!=""}} * {MIB}'), GPU),
            unit="bytes",
            absent=NO_AMD,
        ),
        graph(
            "GPU power",
            "Power of each GPU's package.",
            Query(of_amd(POWER), GPU),
            unit="watt",
            absent=NO_AMD,
        ),
        graph(
            "GPU temperature",
            "Hottest point of each GPU (junction), or its edge on older ones.",
            Query(of_amd(HEAT), GPU),
            unit="celsius",
            absent=NO_AMD,
        ),
    ],
)


def dashboard() -> models.Dashboard:
    """The board."""
    return board(
        HARDWARE,
        "Hardware beside training",
        "GPUs, pods and nodes of the chosen runs, each with its run.",
        [SOURCES, TRAINING, SAMPLES, NVIDIA, AMD, *nodes.ROWS],
    )
