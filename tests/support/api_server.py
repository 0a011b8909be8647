# SPDX-License-Identifier: Apache-2.0
"""A server that speaks the API's list and watch, and fails in each way a test asks for.

Real sockets and real HTTP: what a real API server does not do on demand is done here.
"""

import contextlib
import http.server
import json
import socket
import threading
import time
import urllib.parse


def pod(name, uid=None, namespace="team", node="n1", labels=None, **metadata):
    """A pod as the API writes it, no larger than it must be."""
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-of-{name}",
            "labels": labels or {},
            **metadata,
        },
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
    }


class ApiServer:
    """Pods, their history, and a queue of faults for each verb."""

    def __init__(self, *names):
        self.changed = threading.Condition()
        self.pods = {}
        self.history = []
        self.version = 1000
        self.oldest = 0
        self.token = "first"
        self.faults = {"list": [], "watch": []}
        self.asked = []
        self.watching = 0
        self.connections = set()
        self.running = False
        self.port = 0
        for name in names:
            self.put(pod(name, labels={"team": name}))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.running = True
        handler = type("Bound", (Handler,), {"api": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self):
        with self.changed:
            self.running = False
            self.changed.notify_all()
            for each in self.connections:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def kubeconfig(self, directory):
        """A kubeconfig whose token lies in a file beside it, as a projected token does."""
        (directory / "token").write_text(self.token)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {"tokenFile": str(directory / "token")}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path = directory / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def put(self, document):
        """Create or change a pod."""
        uid = document["metadata"]["uid"]
        self._record("MODIFIED" if uid in self.pods else "ADDED", document)

    def delete(self, name):
        self.remove(f"uid-of-{name}")

    def remove(self, uid):
        self._record("DELETED", self.pods[uid])

    def _record(self, kind, document):
        with self.changed:
            self.version += 1
            document["metadata"]["resourceVersion"] = str(self.version)
            self.pods[document["metadata"]["uid"]] = document
            if kind == "DELETED":
                del self.pods[document["metadata"]["uid"]]
            self.history.append((self.version, kind, document))
            self.changed.notify_all()

    def compact(self):
        """Forget what was: each version up to now is too old."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.changed.notify_all()

    def fail(self, verb, fault, times=1):
        """Let a fault meet the next requests of a verb; a watch there is ends at once."""
        with self.changed:
            self.faults[verb] += [fault] * times
            self.changed.notify_all()

    def heal(self, verb):
        """Let no fault meet the requests of a verb any more."""
        self.faults[verb].clear()

    def count(self, verb):
        return sum(each == verb for each, _ in self.asked)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def setup(self):
        super().setup()
        with self.api.changed:
            self.api.connections.add(self.connection)

    def finish(self):
        with self.api.changed:
            self.api.connections.discard(self.connection)
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        verb = "watch" if "watch" in query else "list"
        with self.api.changed:
            self.api.asked.append((verb, query))
            fault = self.api.faults[verb].pop(0) if self.api.faults[verb] else None
        if self.headers.get("Authorization") != f"Bearer {self.api.token}":
            self.status(401)
        elif fault:
            fault(self)
        elif verb == "list":
            self.list(query)
        else:
            self.watch(query)

    def status(self, code, **headers):
        body = json.dumps({"kind": "Status", "code": code}).encode()
        self.reply(code, body, **headers)

    def reply(self, code, body, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def list(self, query):
        with self.api.changed:
            node = query.get("fieldSelector", "=").split("=")[1]
            pods = [p for p in self.api.pods.values() if node in ("", p["spec"]["nodeName"])]
            version = self.api.version
        if "continue" in query:
            version, start = map(int, query["continue"].split(":"))
            if version < self.api.oldest:
                return self.status(410)
        else:
            start = 0
        end = start + int(query["limit"])
        metadata = {"resourceVersion": str(version)}
        if end < len(pods):
            metadata["continue"] = f"{version}:{end}"
        page = {"kind": "PodList", "metadata": metadata, "items": pods[start:end]}
        return self.reply(200, json.dumps(page).encode())

    def watch(self, query):
        version = int(query["resourceVersion"])
        until = time.monotonic() + float(query["timeoutSeconds"])
        if version < self.api.oldest:
            return self.status(410)
        self.begin()
        self.api.watching += 1
        try:
            while self.api.running and not self.api.faults["watch"] and time.monotonic() < until:
                version = self.tell(version)
                with self.api.changed:
                    if self.api.version == version:
                        self.api.changed.wait(0.05)
        finally:
            self.api.watching -= 1
        return self.chunk(b"")

    def tell(self, version):
        with self.api.changed:
            news = [each for each in self.api.history if each[0] > version]
            version = self.api.version
        for _, kind, document in news:
            self.line({"type": kind, "object": document})
        return version

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def line(self, event):
        self.chunk(json.dumps(event).encode() + b"\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


# Faults: what becomes of a request.


def status(code, **headers):
    return lambda handler: handler.status(code, **headers)


def error_event(code):
    """200 and a watch whose first line is an error."""

    def fault(handler):
        handler.begin()
        handler.line({"type": "ERROR", "object": {"kind": "Status", "code": code}})
        handler.chunk(b"")

    return fault


def raw(body):
    """200 and a stream of these bytes, ended in order."""

    def fault(handler):
        handler.begin()
        for start in range(0, len(body), 1 << 20):
            handler.chunk(body[start : start + (1 << 20)])
        handler.chunk(b"")

    return fault


def page(body):
    """200 and a body of these bytes."""
    return lambda handler: handler.reply(200, body)


def reset(handler):
    """200 and half a chunk, then the connection is gone."""
    handler.begin()
    handler.wfile.write(b'ff\r\n{"type":"ADDED"')
    handler.close_connection = True


def silent(handler):
    """200 and nothing more, like a peer that vanished without a word."""
    handler.begin()
    with handler.api.changed:
        handler.api.changed.wait_for(lambda: not handler.api.running, 20)
    handler.close_connection = True


def trickle(handler):
    """200 and bytes that never make a line."""
    handler.begin()
    while handler.api.running:
        handler.chunk(b" ")
        time.sleep(0.02)
