# SPDX-License-Identifier: Apache-2.0
"""A server of what other exporters would say of the same pods and GPUs, by their published names.

- dcgm-exporter: `etc/default-counters.csv` of NVIDIA/dcgm-exporter, labels as its renderer has them
- AMD's device-metrics-exporter: `docs/configuration/metricslist.md` of ROCm/device-metrics-exporter
- kube-state-metrics: `docs/metrics/workload/pod-metrics.md` of kubernetes/kube-state-metrics
- API servers: the counter of webhooks that failed open, since Kubernetes 1.24
"""

import http.server
import threading

from support.boards.playing import uuid

DCGM = {
    "DCGM_FI_DEV_SM_CLOCK": 1900, "DCGM_FI_DEV_MEM_CLOCK": 2600, "DCGM_FI_DEV_GPU_TEMP": 60,
    "DCGM_FI_DEV_MEMORY_TEMP": 70, "DCGM_FI_DEV_POWER_USAGE": 540, "DCGM_FI_DEV_GPU_UTIL": 90,
    "DCGM_FI_DEV_MEM_COPY_UTIL": 40, "DCGM_FI_DEV_XID_ERRORS": 0, "DCGM_FI_DEV_FB_FREE": 20000,
    "DCGM_FI_DEV_FB_USED": 61000, "DCGM_FI_PROF_GR_ENGINE_ACTIVE": 0.9,
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": 0.5, "DCGM_FI_PROF_DRAM_ACTIVE": 0.4,
}  # fmt: skip
AMD = {
    "gpu_gfx_activity": 70, "gpu_umc_activity": 30, "gpu_package_power": 600,
    "gpu_power_usage": 600, "gpu_junction_temperature": 65, "gpu_memory_temperature": 60,
    "gpu_used_vram": 100_000, "gpu_free_vram": 90_000, "gpu_total_vram": 190_000, "gpu_clock": 2100,
    "gpu_ecc_uncorrect_total": 0,
}  # fmt: skip
UNASSIGNED = {"container": "", "namespace": "", "pod": ""}


def line(name, value, labels):
    text = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{text}}} {value}\n"


def whose(run, number):
    return {"container": "main", "namespace": run.namespace, "pod": f"{run.id}-{number}"}


def gpus(runs, node, maker):
    """(index on the node, UUID, whose) of each GPU, and of one that nobody has."""
    index = 0
    for run in runs:
        for number, of in enumerate(run.nodes):
            for gpu in range(run.ranks if of == node and run.gpus == maker else 0):
                yield index, uuid(run, number, gpu), whose(run, number)
                index += 1
    yield index, f"GPU-spare-{node}", UNASSIGNED


def dcgm(runs, node, hostname):
    text = []
    for name, value in DCGM.items():
        for index, gpu, pod in gpus(runs, node, "nvidia"):
            about = {"gpu": index, "UUID": gpu, "device": f"nvidia{index}", "modelName": "H100"}
            driver = {"DCGM_FI_DRIVER_VERSION": "550.54"}
            text.append(line(name, value, {**about, "Hostname": hostname, **driver, **pod}))
    return "".join(text)


def amd(runs, node, hostname):
    text = [line("gpu_nodes_total", 1, {"hostname": hostname})]
    for name, value in AMD.items():
        for index, gpu, pod in gpus(runs, node, "amd"):
            about = {"card_model": "MI300X", "gpu_id": index, "gpu_partition_id": 0}
            about |= {"gpu_uuid": gpu, "hostname": hostname, "serial_number": f"s{index}"}
            text.append(line(name, value, {**about, **pod}))
    return "".join(text)


def kube_state(pods, restarts):
    """`restarts`: of a pod by its name."""
    text = []
    for document in pods:
        metadata, node = document["metadata"], document["spec"]["nodeName"]
        pod = {"namespace": metadata["namespace"], "pod": metadata["name"], "uid": metadata["uid"]}
        (owner,) = metadata.get("ownerReferences") or [{"kind": "<none>", "name": "<none>"}]
        made = {"created_by_kind": owner["kind"], "created_by_name": owner["name"]}
        main = {**pod, "container": "main"}
        count = restarts.get(metadata["name"], 0)
        text += [
            line("kube_pod_info", 1, {**pod, "node": node, "host_ip": "10.0.0.1", **made}),
            line("kube_pod_status_phase", 1, {**pod, "phase": "Running"}),
            line("kube_pod_status_phase", 0, {**pod, "phase": "Pending"}),
            line("kube_pod_container_info", 1, {**main, "image": "i"}),
            line("kube_pod_container_status_ready", 1, main),
            line("kube_pod_container_status_running", 1, main),
            line("kube_pod_container_status_restarts_total", count, main),
        ]
        if count:
            name = "kube_pod_container_status_last_terminated_reason"
            text.append(line(name, 1, {**main, "reason": "OOMKilled"}))
        for resource, unit, value in (
            ("cpu", "core", 16), ("memory", "byte", 1 << 37), ("nvidia_com_gpu", "integer", 4),
        ):  # fmt: skip
            about = {**main, "node": node, "resource": resource, "unit": unit}
            text.append(line("kube_pod_container_resource_limits", value, about))
            text.append(line("kube_pod_container_resource_requests", value, about))
    return "".join(text)


def api_server(left):
    """A webhook of ours, and another one, that could not be reached."""
    name = "apiserver_admission_webhook_fail_open_count"
    text = line(name, 7, {"name": "others.example.com", "type": "admit"})
    if left < 5:
        text += line(name, 2, {"name": "pod.wandb.primus-lens.io", "type": "admit"})
    return text


class Server:
    """Serves each page by its path; None makes it unavailable."""

    def __init__(self, pages):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = pages[self.path[1:]]()
                self.send_response(503 if text is None else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
