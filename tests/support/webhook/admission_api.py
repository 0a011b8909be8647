# SPDX-License-Identifier: Apache-2.0
"""A server that speaks what certificates need of the API: Secrets with resourceVersions, and
JSON patches of one MutatingWebhookConfiguration. It can be stopped, and refuse by verb.

Real sockets and real HTTP: what a real API server does not do on demand is done here.
"""

import base64
import http.server
import json
import threading

import jsonpatch

NAMES = ("pod.primus-lens.io", "namespace.primus-lens.io")


class AdmissionApi:
    def __init__(self, directory):
        self.directory = directory
        self.lock = threading.Lock()
        self.secrets = {}
        self.version = 0
        self.webhooks = [{"name": name, "clientConfig": {"url": "https://x"}} for name in NAMES]
        self.refuse = {}
        self.asked = []
        self.port = 0
        self.server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.server:
            self.stop()

    def start(self):
        handler = type("Bound", (Handler,), {"api": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        self.server = None

    @property
    def environ(self):
        """How a process finds it."""
        config = {
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path = self.directory / "kubeconfig"
        path.write_text(json.dumps(config))
        return {"KUBECONFIG": str(path)}

    @property
    def bundle(self):
        """The PEM that API servers verify with; of both webhooks alike."""
        first, second = (each["clientConfig"].get("caBundle", "") for each in self.webhooks)
        assert first == second
        return base64.b64decode(first)

    def count(self, verb):
        return sum(each == verb for each in self.asked)


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 20

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        with self.api.lock:
            self.api.asked.append(self.command)
            status = self.api.refuse.get(self.command)
            document = {} if status else None
            if not status:
                *_, kind, name = ("", *self.path.split("/"))
                status, document = self.done(kind, name, body)
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - so does http.server call them

    def done(self, kind, name, body):
        if kind == "mutatingwebhookconfigurations":
            return self.configuration(body)
        if self.command == "POST":
            return self.create(body)
        if name not in self.api.secrets:
            return 404, {}
        if self.command == "PUT":
            return self.update(name, body)
        return 200, self.api.secrets[name]

    def create(self, body):
        name = body["metadata"]["name"]
        if name in self.api.secrets:
            return 409, {}
        return 201, self.store(name, body)

    def update(self, name, body):
        there = self.api.secrets[name]["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion") != there:
            return 409, {}
        return 200, self.store(name, body)

    def store(self, name, body):
        self.api.version += 1
        body["metadata"]["resourceVersion"] = str(self.api.version)
        self.api.secrets[name] = body
        return body

    def configuration(self, body):
        document = {"metadata": {"name": "x"}, "webhooks": self.api.webhooks}
        if self.command == "PATCH":
            if self.headers["Content-Type"] != "application/json-patch+json":
                return 415, {}
            try:
                document = jsonpatch.JsonPatch(body).apply(document)
            except jsonpatch.JsonPatchTestFailed:
                return 422, {}
            self.api.webhooks = document["webhooks"]
        return 200, document
