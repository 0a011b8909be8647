# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the W&B server, enough for runs that are online and resumed.

It answers the GraphQL that wandb's core sends at a run's start and keeps what the file
stream brings: rows, summary, exit. Everything else is answered with nothing.
"""

import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API_KEY = "0123456789abcdef" * 3
PROJECT = {"id": "p", "name": "p", "entity": {"id": "e", "name": "entity"}}
STREAM = re.compile(r"/files/[^/]+/[^/]+/([^/]+)/file_stream")


class Run:
    """What a run has sent."""

    def __init__(self):
        self.lines = []  # of its history, as JSON
        self.summary = "{}"
        self.exit_code = None

    @property
    def rows(self):
        return [json.loads(line) for line in self.lines]


class WandbServer:
    """A context manager; `runs` by id, `environ` for a training that logs here."""

    def __init__(self):
        self.runs = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def environ(self):
        url = "http://{}:{}".format(*self._server.server_address)
        return {"WANDB_MODE": "online", "WANDB_BASE_URL": url, "WANDB_API_KEY": API_KEY}

    def answer(self, query, variables):
        """The data of a GraphQL response."""
        name = variables.get("name")
        if "upsertBucket" in query:
            known = name in self.runs
            run = self.runs.setdefault(name, Run())
            return {"upsertBucket": {"bucket": bucket(name, run), "inserted": not known}}
        if "historyTail" in query:
            run = self.runs.get(name)
            return {"model": {**PROJECT, "bucket": run and resumable(name, run)}}
        if "viewer" in query:
            who = {"id": "u", "entity": "entity", "username": "u", "email": "u@localhost"}
            return {"viewer": {**who, "flags": "{}", "teams": {"edges": []}}, "serverInfo": None}
        if "createRunFiles" in query:
            return {"createRunFiles": {"runID": name, "uploadHeaders": [], "files": []}}
        return {}

    def stream(self, name, sent):
        """Take a request of a run's file stream."""
        run = self.runs.setdefault(name, Run())
        for file, chunk in (sent.get("files") or {}).items():
            if file.endswith("history.jsonl"):
                run.lines[chunk.get("offset", 0) :] = chunk["content"]
            elif file.endswith("summary.json"):
                run.summary = chunk["content"][-1]
        if "complete" in sent:
            run.exit_code = sent.get("exitcode")


def bucket(name, run):
    project = {**PROJECT, "entity": PROJECT["entity"]}
    plain = {"id": f"id-{name}", "name": name, "displayName": name, "description": ""}
    lines = {"historyLineCount": len(run.lines)}
    return {**plain, **lines, "config": "{}", "sweepName": None, "project": project}


def resumable(name, run):
    """What a run that is resumed goes on from."""
    counts = {"logLineCount": 0, "historyLineCount": len(run.lines), "eventsLineCount": 0}
    tails = {"historyTail": json.dumps(run.lines[-1:]), "eventsTail": "[]"}
    rest = {"config": "{}", "tags": [], "wandbConfig": json.dumps({"t": 1}), "stopped": False}
    summary = {"summaryMetrics": run.summary, "displayName": name}
    return {"id": f"id-{name}", "name": name, **counts, **tails, **rest, **summary}


def handler(server):
    """The class of the handlers of one server's requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.body()
            stream = STREAM.match(self.path)
            if self.path.startswith("/graphql"):
                asked = json.loads(body)
                self.send({"data": server.answer(asked["query"], asked.get("variables") or {})})
            elif stream:
                server.stream(stream[1], json.loads(body or b"{}"))
                self.send({"exitcode": None, "limits": {}})
            else:
                self.send({})

        def do_PUT(self):
            self.body()
            self.send({})

        def do_GET(self):
            self.send({})

        def body(self):
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(sent) if self.headers.get("Content-Encoding") == "gzip" else sent

        def send(self, answer):
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Not to stderr."""

    return Handler
