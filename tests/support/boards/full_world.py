# SPDX-License-Identifier: Apache-2.0
"""The world that has everything: four nodes, fifteen runs, webhooks, and every other exporter."""

import contextlib
import datetime as dt
import json
import platform
import shutil
import subprocess
import time

import pytest
import trustme
import yaml
from primus_lens_hook import contract
from primus_lens_webhook import decision
from primus_lens_webhook.admission import Answer
from primus_lens_webhook.telemetry import Telemetry

from support.api_server import ApiServer, pod
from support.boards import foreign
from support.boards.playing import INJECTED, annotations, owner, pods_of, ranks_of
from support.boards.runs import CLEAN, FAULTY
from support.boards.scraping import Target
from support.boards.world import World
from support.chart import charting
from support.kubelet import Kubelet, rank
from support.serving import free_port, until
from support.webhook.admission_api import AdmissionApi
from support.webhook.webhook_world import Webhook, review, write_certificate
from support.webhook.webhook_world import pod as asking

# node_exporter tells the name of the host that it runs on.
NODES = {"a": platform.node(), "b": "node-b", "c": "node-c", "d": "node-d"}
ASKS = {contract.LABEL: "enabled"}
OURS = "primus-lens"
GONE = 12  # minutes before the end: an exporter and a webhook
FLOODED = 7
PEAK = 1e15


@contextlib.contextmanager
def full_world(directory, recording):
    with contextlib.ExitStack() as stack:
        yield from FullWorld(directory, recording, stack).play(rules_file(directory))


def rules_file(directory):
    """The rules as the chart renders them."""
    path = directory / "rules.yaml"
    values = {"rules": {"enabled": True, "peakFlopsPerGpu": PEAK}}
    path.write_text(yaml.safe_dump(charting.found(values)["PrometheusRule", "rules"]["spec"]))
    return path


class FullWorld(World):
    """Its parts live as long as the stack."""

    def __init__(self, directory, recording, stack):
        super().__init__(directory)
        self.recording = recording
        self.stack = stack
        self.gone = stack.enter_context(contextlib.ExitStack())
        self.runs = (*CLEAN, *FAULTY)
        self.api = stack.enter_context(ApiServer())
        self.kubelets = {letter: self._kubelet(letter) for letter in NODES}
        self._pods()  # before anybody watches: the stand-in's watch tells of every node's
        self.exporters = {letter: self._exporter(letter) for letter in NODES}
        self._webhooks()
        self._others()
        for run in self.runs:
            self._ranks(run)
        self.events += [(FLOODED, self._flood), (GONE, self.gone.close)]
        self.events.sort(key=lambda event: -event[0])

    def _live(self, rules):
        pages = (self.exporters[letter].get("/api/v1/runs") for letter in "ab")
        self.told = [run for page in pages for run in read_json(page)["runs"]]
        super()._live(rules)

    def _kubelet(self, letter):
        kubelet = Kubelet(self.directory / f"kubelet-{letter}", self.api)
        kubelet.name = NODES[letter]
        return kubelet

    def _exporter(self, letter):
        root, name = self.kubelets[letter].root, NODES[letter]
        flags = ["--records.kubelet-root", root, "--kubernetes.node-name", name]
        flags += ["--limits.keys-per-rank", "50"]
        if letter == "b":
            spool = self.directory / "spool"
            flags += ["--remote-write.url", self.database.write_url]
            flags += ["--remote-write.spool-directory", spool]
        if letter == "c":  # 40 kB a second
            flags += ["--limits.bytes-per-tick", "4096", "--limits.line-bytes", "4096"]
        environ = {"KUBECONFIG": str(self.api.kubeconfig(self.directory))}
        exporter = self.exporter(None, *flags, tick=0.1 if letter == "c" else 0.02, **environ)
        life = self.gone if letter == "d" else self.stack
        life.enter_context(exporter)
        self._target("lens-exporter", f"exporter-{letter}", f"{exporter.url}/metrics", OURS)
        return exporter

    def _target(self, job, instance, url, namespace, **options):
        """Labelled as the operator's monitors do."""
        labels = {"namespace": namespace, "pod": f"{instance}-x", "endpoint": "metrics"}
        self.targets.append(Target(job, instance, url, labels, **options))

    def _pods(self):
        self.volumes = {}
        for run in self.runs:
            made = self.volumes.get(run.within) or [*pods_of(run, self.kubelets)]
            self.volumes[run.id] = made
        about = {"annotations": annotations(INJECTED), "labels": ASKS}
        self.flooded = self.kubelets["c"].start("flood", node=NODES["c"], **about)
        self.events.append((25, lambda: self._delete("finished")))
        skipped = annotations({"decision": "skipped", "reason": "opted-out"})
        self.api.put(pod("missed", node=NODES["a"], labels=ASKS))
        self.api.put(pod("skipped", node=NODES["a"], annotations=skipped))
        # Two that write nothing, of which one is part of a training that does.
        beside = {"namespace": "research", "ownerReferences": owner("healthy")}
        for each in (
            pod("silent", node=NODES["b"], **about),
            pod("healthy-2", node=NODES["b"], **about, **beside),
        ):
            self.api.put(each | {"status": running(self.start)})

    def _delete(self, name):
        (volume,) = self.volumes[name]
        pods = self.api.pods.items()
        (uid,) = (uid for uid, each in pods if each["metadata"]["name"] == f"{name}-0")
        self.api.remove(uid)
        self.kubelets["b"].remove(volume)

    def _ranks(self, run):
        for each in ranks_of(run, self.recording, self.volumes[run.id], self.start, self.end):
            exporter = self.exporters[run.nodes[each.node]]
            self.ranks.setdefault(exporter, []).append(each)

    def _flood(self):
        """More than the exporter may read at once; what it has read is minutes old."""
        at = self.end - self.left * 60
        lines = []
        for number, row in enumerate(self.recording.rows * 100):
            data = {"train/epoch": row["data"]["train/epoch"]}
            about = {"timestamp": at + number / 1000, "step": None, "data": data, "run": "flood"}
            lines.append(json.dumps(row | about) + "\n")
        with (rank(self.flooded) / "wandb_metrics.jsonl").open("w", buffering=1) as file:
            file.write(lines[0])
            # A backlog from before the rank was seen would hide it until that has been read.
            until(lambda: 'run_id="flood"' in self.exporters["c"].page())
            file.writelines(lines[1:])

    def _webhooks(self):
        authority, directory = trustme.CA(), self.directory / "tls"
        directory.mkdir()
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
        leaf = authority.issue_cert("localhost", not_after=soon)
        authority.issue_cert = lambda *_: leaf
        write_certificate(authority, directory)
        flags = ["--certificate.directory", directory, "--webhook.max-body-bytes", "100000"]
        self.webhook = self.stack.enter_context(Webhook(authority, *flags))
        self._target("lens-webhook", "webhook-1", f"{self.webhook.url}/metrics", OURS)
        self._self_managed()
        self.events += [(left, self._admit) for left in range(80, -1, -5)]
        self.events += [(4, lambda: self.webhook.ask(b"garbage"))]

    def _self_managed(self):
        """A replica that may not patch the caBundle."""
        (self.directory / "admission").mkdir()
        api = self.stack.enter_context(AdmissionApi(self.directory / "admission"))
        api.refuse = {"PATCH": 403}
        flags = [
            "--certificate.names=localhost", "--certificate.secret-namespace=own",
            "--certificate.secret-name=ca", "--certificate.webhook-configuration=primus-lens",
        ]  # fmt: skip
        replica = Webhook(b"", *flags, environ=api.environ)
        replica.start()
        self.stack.callback(replica.__exit__)
        until(lambda: replica.status("/metrics") == 200)
        self._target("lens-webhook", "webhook-2", f"{replica.url}/metrics", OURS)

    def _admit(self):
        self.webhook.ask(review())
        self.webhook.ask(review(asking(annotations={"primus-lens.io/containers": "nobody"})))

    def _others(self):
        slow = Telemetry()
        pages = {
            "ksm": lambda: foreign.kube_state(self.api.pods.values(), self._restarts()),
            "apiserver": lambda: foreign.api_server(self.left),
            "slow": lambda: slowed(slow),
            "stuck": lambda: 'primus_lens_exporter_stuck_seconds{path="/mnt"} 90\n',
            "gone": lambda: slow.render().decode() if self.left > GONE else None,
        }
        for node in "ab":
            hostname = NODES[node]
            pages[f"dcgm-{node}"] = lambda node=node, name=hostname: foreign.dcgm(
                self.runs, node, name
            )
            pages[f"amd-{node}"] = lambda node=node, name=hostname: foreign.amd(
                self.runs, node, name
            )
        server = self.stack.enter_context(foreign.Server(pages))
        for node in "ab":
            self._target(
                "dcgm-exporter",
                f"dcgm-{node}",
                f"{server.url}/dcgm-{node}",
                "gpu",
                honor_labels=False,
            )
            self._target("amd-exporter", f"amd-{node}", f"{server.url}/amd-{node}", "gpu")
        self._target("kube-state-metrics", "ksm", f"{server.url}/ksm", "monitoring")
        self._target("apiserver", "apiserver", f"{server.url}/apiserver", "default")
        self._target("lens-exporter", "exporter-e", f"{server.url}/stuck", OURS)
        self._target("slow-webhook", "webhook-3", f"{server.url}/slow", OURS)
        self._target("gone-webhook", "webhook-4", f"{server.url}/gone", OURS)
        host = f"{self._node_exporter()}/metrics"
        self._target("node-exporter", "host", host, "monitoring", past=False)

    def _restarts(self):
        return {"killed-0": int(self.left < 25), "resumed-0": int(self.left < 25)}

    def _node_exporter(self):
        program = shutil.which("prometheus-node-exporter")
        program = program or pytest.skip("prometheus-node-exporter is not installed")
        address = f"127.0.0.1:{free_port()}"
        process = subprocess.Popen(
            [program, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return f"http://{address}"


def slowed(telemetry):
    """The page of a webhook that takes two seconds."""
    made = decision.Decision(decision.INJECTED, decision.POD_LABEL)
    telemetry.count(Answer(b"", made), 2.0)
    return telemetry.render().decode()


def read_json(response):
    with response:
        return json.load(response)


def running(since):
    """A pod's status."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since))
    main = {"name": "main", "state": {"running": {"startedAt": at}}}
    return {"phase": "Running", "startTime": at, "containerStatuses": [main]}
