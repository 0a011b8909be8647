# SPDX-License-Identifier: Apache-2.0
"""A watch of a server's pods, and what it should know of them."""

import json

from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.document import decode
from primus_lens_exporter.pods.informer import Pace, PodInformer
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry
from primus_lens_toolkit.kubernetes_api import Api
from prometheus_client import CollectorRegistry

from support.api_server import pod
from support.serving import until

PREFIX = "primus_lens_exporter_kubernetes_"
PACE = Pace(watch=1.0, margin=0.5, first=0.05, longest=0.2)


class World:
    """An API, a watch of one node or of all, and what the watch should know."""

    def __init__(self, server, directory, monkeypatch, node="n1", pace=PACE):
        self.server = server
        self.directory = directory
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(directory)))
        self.registry = CollectorRegistry()
        self.cache = PodCache()
        telemetry = KubernetesTelemetry(self.registry, self.cache)
        self.informer = PodInformer(Api(), self.cache, telemetry, node, ["team"], pace)

    def result(self, verb, result):
        labels = {"verb": verb, "result": result}
        return self.registry.get_sample_value(PREFIX + "requests_total", labels)

    def number(self, name):
        return self.registry.get_sample_value(PREFIX + name)

    def right(self):
        """Each pod that is there is known as it is now, and none as another."""
        for uid, document in list(self.server.pods.items()):
            known = self.cache.get(uid)
            assert known is None or known.uid == uid
            if known != decode(json.dumps(document).encode(), ["team"]):
                return False
        return True

    def heals(self):
        """What changes from now on is known soon, whatever has been."""
        name = f"new-{len(self.server.history)}"
        self.server.put(pod(name, labels={"team": "before"}))
        self.server.put(pod(name, labels={"team": "after"}))
        until(self.right)
