# SPDX-License-Identifier: Apache-2.0
"""A real webhook process, and the questions that an API server asks it."""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
import tempfile

from support import serving
from support.environment import clean_environ

JSON = "application/json"


def pod(**metadata):
    metadata = {"name": "p", "labels": {"primus-lens.io/wandb": "enabled"}, **metadata}
    spec = {"containers": [{"name": "main", "image": "i", "command": ["python"]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def review(document=None, **request):
    """An AdmissionReview as API servers send it, for the creation of a pod."""
    request = {
        "uid": "uid-1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "team",
        "object": pod() if document is None else document,
        "dryRun": False,
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def operations(response):
    return json.loads(base64.b64decode(response["patch"])) if "patch" in response else []


def write_certificate(authority, directory):
    leaf = authority.issue_cert("localhost")
    (directory / "tls.key").write_bytes(leaf.private_key_pem.bytes())
    (directory / "tls.crt").write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))


def trusting(authority):
    """A client that trusts one authority: a trustme.CA or the PEM of others."""
    if not isinstance(authority, bytes):
        authority = authority.cert_pem.bytes()
    return ssl.create_default_context(cadata=authority.decode())


class Webhook(serving.Exporter):
    """`page`, `value` and `status` are those of its second port."""

    def __init__(self, authority, *flags, environ=()):
        super().__init__(None, environ=environ)
        self.authority = authority
        self.tls_port = serving.free_port()
        self.command = [sys.executable, "-m", "primus_lens_cli", "webhook"]
        self.command += ["--web.listen-address", f"127.0.0.1:{self.port}"]
        self.command += ["--webhook.listen-address", f"127.0.0.1:{self.tls_port}", *flags]

    def start(self):
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        self.environ = {**clean_environ(), **self.environ}
        self.process = subprocess.Popen(self.command, env=self.environ, stderr=self.stderr)

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(timeout=10)
        self.stderr.seek(0)
        self.log = self.stderr.read()
        self.stderr.close()
        assert status == 0, self.log
        assert "Traceback" not in self.log, self.log

    def client(self):
        """A connection that is closed by `with`."""
        tls = trusting(self.authority)
        made = http.client.HTTPSConnection("localhost", self.tls_port, context=tls, timeout=20)
        return contextlib.closing(made)

    def post(self, body, content_type=JSON, path="/mutate"):
        """Status and body."""
        with self.client() as client:
            client.request("POST", path, body, {"Content-Type": content_type})
            response = client.getresponse()
            return response.status, response.read()

    def ask(self, question, content_type=JSON):
        """The response in the AdmissionReview that came back; it always comes with 200."""
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        status, answer = self.post(body, content_type)
        assert status == 200
        document = json.loads(answer)
        assert (document["apiVersion"], document["kind"]) == (
            "admission.k8s.io/v1", "AdmissionReview",
        )  # fmt: skip
        return document["response"]

    def admissions(self, decision, reason, python_env="", dry_run="false"):
        return self.value(
            f'primus_lens_webhook_admissions_total{{decision="{decision}",dry_run="{dry_run}",'
            f'python_env="{python_env}",reason="{reason}"}}'
        )

    def serial(self):
        """Of the certificate that it shows, which is verified."""
        raw = socket.create_connection(("127.0.0.1", self.tls_port), timeout=20)
        with raw, trusting(self.authority).wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.getpeercert()["serialNumber"]
