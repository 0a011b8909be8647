# SPDX-License-Identifier: Apache-2.0
"""Plays a recording again: as one run on many ranks, with the times and faults of a world."""

import json

from primus_lens_hook import contract

from support.kubelet import rank as rank_directory

SECONDS = 15.0  # from one row to the next
RUNS_SECONDS = 60.0  # from one wandb_runs.json to the next
GPU = contract.SAMPLE_PREFIX + "gpu_{}_{}"
INJECTED = {"decision": "injected", "reason": "pod-label", "hook": "0", "containers": ["main"]}
GIB = 1 << 30
# What this machine may not tell, and a training in a container does.
UNTOLD = {
    contract.SAMPLE_PREFIX + name: 1.0
    for name in (*contract.SAMPLE_OF_POD, *contract.SAMPLE_OF_PROCESS)
}


def uuid(run, node, gpu):
    return f"GPU-{run.id}-{node}-{gpu}"


def annotations(status):
    return {contract.STATUS_ANNOTATION: json.dumps(status)}


class Rank:
    """Writes what one rank of a run would have written by a time."""

    def __init__(self, run, recording, directory, node, local, start, end):
        self.run, self.recording, self.directory = run, recording, directory
        self.id = run.logged or run.id
        self.node, self.local = node, local
        self.end = end
        self.next = max(start, end - run.begins * 60) + 1
        self.last = end - run.ends * 60
        self.described = 0.0
        self.rows = self.lines = 0
        self.step = 0.0
        self.finished = False

    def advance(self, at):
        """Returns how many lines it has written by now."""
        text = []
        while self.next <= min(at, self.last):
            text += self._lines(self.next)
            self.next += SECONDS
        if text:
            with (self.directory / "wandb_metrics.jsonl").open("a") as file:
                file.write("".join(json.dumps(line) + "\n" for line in text))
        self.lines += len(text)
        over = self.run.finished and at > self.last
        if (text and at - self.described >= RUNS_SECONDS) or over > self.finished:
            self.described, self.finished = at, over
            self._describe()
        return self.lines

    def _lines(self, at):
        row = self.recording.rows[self.rows % len(self.recording.rows)]
        left = (self.end - at) / 60
        self.rows += 1
        keys = (*self.run.keys, contract.ROW_MARK)
        data = {key: value for key, value in row["data"].items() if key in keys}
        data = self.run.change(data, self, left)
        if data is not None:
            self.step += self.run.speed(self, left)
            yield row | {"timestamp": at, "step": self.step, "data": data, "run": self.id}
        if self.run.gpus:
            yield self.recording.sample | {
                "timestamp": at + 1, "data": self._sample(left), "run": self.id,
            }  # fmt: skip

    def _sample(self, left):
        data = {
            key: value + 50 * self.rows if key.endswith("_total") else value
            for key, value in (UNTOLD | self.recording.sample["data"]).items()
        }
        for gpu in range(self.run.ranks):
            data |= {GPU.format(gpu, name): value for name, value in self._gpu(gpu, left).items()}
        return data

    def _gpu(self, gpu, left):
        busy = 1.0 if self.run.id == "idle" and left < 25 else 90.0
        known = {"uuid": uuid(self.run, self.node, gpu)} if self.run.gpus == "nvidia" else {}
        return known | {
            "util": busy, "name": "H100", "memory_used_bytes": 60 * GIB,
            "memory_total_bytes": 80 * GIB, "power_watts": 6 * busy, "temperature_celsius": 60,
            "sm_clock_hertz": 1.9e9, "memory_clock_hertz": 2.6e9, "ecc_errors_total": 0,
            "xid_errors_total": 0,
        }  # fmt: skip

    def _describe(self):
        path = self.directory / "wandb_runs.json"
        there = json.loads(path.read_text()) if path.exists() else {}
        logs = self.rows
        conflicts = int(logs * self.run.conflicts)
        there[self.id] = self.recording.run | {
            "name": f"the {self.run.id} one",
            "finish": self.last if self.finished else None,
            "exit_code": 0 if self.finished else None,
            "world_size": self.run.ranks * len(self.run.nodes),
            "step_fix": {"logs": logs, "conflicts": conflicts, "dropped": 0, "flushes": conflicts},
        }
        partial = path.with_name(".partial")
        partial.write_text(json.dumps(there))
        partial.replace(path)


def owner(name):
    return [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "controller": True}]


def pods_of(run, kubelets):
    """Starts its pods; returns the volume of each."""
    about = {"annotations": annotations(INJECTED), "ownerReferences": owner(run.id)}
    for number, node in enumerate(run.nodes):
        name = f"{run.id}-{number}"
        yield kubelets[node].start(name, namespace=run.namespace, node=kubelets[node].name, **about)


def ranks_of(run, recording, volumes, start, end):
    for node, volume in enumerate(volumes):
        for local in range(run.ranks):
            directory = rank_directory(volume, node, local)
            yield Rank(run, recording, directory, node, local, start, end)
