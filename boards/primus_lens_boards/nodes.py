# SPDX-License-Identifier: Apache-2.0
"""What the pods and nodes of a run do: the lower half of Hardware beside training."""

from __future__ import annotations

from primus_lens_boards.frame import Row
from primus_lens_boards.panels import Query, graph
from primus_lens_boards.promql import (
    RUN_OF_CONTAINER,
    RUN_OF_POD,
    of_container,
    of_node,
    ranked,
)
from primus_lens_boards.tables import Column, listing

NO_SAMPLES = "Needs injection.systemMetrics=true, and the recording rules"
NO_NODES = "Needs Kubernetes, node_exporter, and the recording rules"
NO_STATE = "Needs kube-state-metrics, and the recording rules"
RANK = "{{run_id}} {{rank}}"
CONTAINER = "{{run_id}} {{pod}}"
# Interfaces and disks that others are made of, or that lead nowhere, would count twice.
WIRES = 'device!~"lo|veth.*|cali.*|cni.*|cilium.*|docker.*|flannel.*|br-.*|lxc.*|tunl.*"'
DISKS = 'device!~"loop.*|ram.*|dm-.*|md.*"'


def _rate(metric: str, further: str = "") -> str:
    return f"sum by (cluster, instance) (rate({metric}{{@cluster{further}}}[$__rate_interval]))"


def _of_rank(metric: str, *, counter: bool = False) -> Query:
    newest = f"{metric}{{@pod}}"
    if counter:
        newest = f"rate({newest}[$__rate_interval])"
    return Query(ranked(of_container(f"max by (@by_container, local_rank) ({newest})")), RANK)


def _of_pod(counter: str) -> str:
    return of_container(f"max by (@by_container) (rate({counter}{{@pod}}[$__rate_interval]))")


def _limit(resource: str) -> Query:
    limit = f'kube_pod_container_resource_limits{{@pod, resource="{resource}"}}'
    return Query(
        f"max by (cluster, namespace, pod, container) ({limit})"
        f" * on (cluster, namespace, pod, container) group_left (run_id) {RUN_OF_CONTAINER}",
        f"{CONTAINER}, limit",
    )


MEMORY = "max by (@by_container) (primus_lens_system_container_memory_used_bytes{@pod})"
PODS = Row(
    "Pods",
    [
        graph(
            "CPU",
            "CPUs that the training's container uses, and its limit.",
            Query(_of_pod("primus_lens_system_container_cpu_seconds_total"), CONTAINER),
            _limit("cpu"),
            unit="suffix: CPUs",
            absent=f"{NO_SAMPLES}; for limits kube-state-metrics",
        ),
        graph(
            "Memory",
            "Memory that the training's container uses, and its limit.",
            Query(of_container(MEMORY), CONTAINER),
            _limit("memory"),
            unit="bytes",
            absent=f"{NO_SAMPLES}; for limits kube-state-metrics",
        ),
        graph(
            "Network",
            "Bytes a second on the pod's interfaces; NCCL and RCCL may use others.",
            Query(
                _of_pod("primus_lens_system_network_receive_bytes_total"),
                f"{CONTAINER}, received",
            ),
            Query(
                _of_pod("primus_lens_system_network_transmit_bytes_total"),
                f"{CONTAINER}, sent",
            ),
            unit="Bps",
            absent=NO_SAMPLES,
        ),
        graph(
            "Restarts",
            "How often each container of the training's pods was restarted.",
            Query(
                "max by (cluster, namespace, pod, container) "
                "(kube_pod_container_status_restarts_total{@pod})"
                f" * on (cluster, namespace, pod) group_left (run_id) {RUN_OF_POD}",
                "{{run_id}} {{pod}} {{container}}",
            ),
            unit="short",
            absent=NO_STATE,
        ),
        listing(
            "Newest ends of containers",
            "Why each container of the training's pods ended the last time: OOMKilled, Error.",
            {
                "run_id": "Run",
                "namespace": "Namespace",
                "pod": "Pod",
                "container": "Container",
                "reason": "Reason",
            },
            Column(
                "Ended",
                "max by (cluster, namespace, pod, container, reason) "
                "(kube_pod_container_status_last_terminated_reason{@pod})"
                f" * on (cluster, namespace, pod) group_left (run_id) {RUN_OF_POD}",
            ),
            absent=f"None has ended. {NO_STATE}",
            sort=("Pod", False),
        ),
    ],
)

PROCESSES = Row(
    "Processes of ranks",
    [
        graph(
            "CPU",
            "CPUs that the processes of each chosen rank use, data loaders among them.",
            _of_rank("primus_lens_system_process_cpu_seconds_total", counter=True),
            unit="suffix: CPUs",
            absent=NO_SAMPLES,
            width=8,
        ),
        graph(
            "Memory",
            "Resident memory of the processes of each chosen rank.",
            _of_rank("primus_lens_system_process_resident_memory_bytes"),
            unit="bytes",
            absent=NO_SAMPLES,
            width=8,
        ),
        graph(
            "Reads from disks",
            "Bytes a second that the processes of each chosen rank had read from disks.",
            _of_rank("primus_lens_system_process_read_bytes_total", counter=True),
            unit="Bps",
            absent=NO_SAMPLES,
            width=8,
        ),
    ],
)

NODE_MEMORY = (
    "1 - max by (cluster, instance) (node_memory_MemAvailable_bytes{@cluster})"
    " / max by (cluster, instance) (node_memory_MemTotal_bytes{@cluster})"
)
NODE = "{{run_id}} {{node}}"
INFINIBAND = "node_infiniband_port_data_received_bytes_total"
NODES = Row(
    "Nodes",
    [
        graph(
            "CPU",
            "CPU in use of the nodes on which the run is.",
            Query("primus_lens:node_cpu_utilization_ratio:joined{@rank}", NODE),
            unit="percentunit",
            absent=NO_NODES,
        ),
        graph(
            "Memory",
            "Memory in use of the nodes on which the run is.",
            Query(of_node(NODE_MEMORY), NODE),
            unit="percentunit",
            absent=NO_NODES,
        ),
        graph(
            "Network",
            "Bytes a second of the nodes on which the run is, over Ethernet and InfiniBand.",
            Query(
                of_node(_rate("node_network_receive_bytes_total", f", {WIRES}")),
                f"{NODE}, received",
            ),
            Query(
                of_node(_rate("node_network_transmit_bytes_total", f", {WIRES}")),
                f"{NODE}, sent",
            ),
            Query(of_node(_rate(INFINIBAND)), f"{NODE}, received over InfiniBand"),
            unit="Bps",
            absent=NO_NODES,
        ),
        graph(
            "Disks",
            "Bytes a second from and to the disks of the nodes on which the run is.",
            Query(of_node(_rate("node_disk_read_bytes_total", f", {DISKS}")), f"{NODE}, read"),
            Query(
                of_node(_rate("node_disk_written_bytes_total", f", {DISKS}")),
                f"{NODE}, written",
            ),
            unit="Bps",
            absent=NO_NODES,
        ),
    ],
)


ROWS = [PODS, PROCESSES, NODES]
