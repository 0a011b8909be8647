# SPDX-License-Identifier: Apache-2.0
"""The script of `helm test`, with an API server: at its end it gives its right back."""

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading

import pytest
import trustme
from primus_lens_hook import contract

from support.chart import charting

INJECTED = {
    "metadata": {"annotations": {contract.STATUS_ANNOTATION: '{"decision": "injected"}'}},
    "spec": {"initContainers": [{"name": contract.HOOK_VOLUME}]},
}
AS_IT_WAS = {"metadata": {}, "spec": {}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, self.headers["Authorization"]))
        body = json.dumps(self.server.pod).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        self.do_POST()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("secret")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(server, account):
    text = (charting.CHART / "files" / "test_injection.py").read_text()
    text = text.replace("/var/run/secrets/kubernetes.io/serviceaccount", str(account))
    text = text.replace("SECONDS = 60", "SECONDS = 0")
    address = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    address["KUBERNETES_SERVICE_PORT"] = str(server.server_address[1])
    command = [sys.executable, "-I", "-c", text, "team", "{}", "lens-test"]
    return subprocess.run(command, env=os.environ | address, capture_output=True, text=True)


@pytest.mark.parametrize(("pod", "status"), [(INJECTED, 0), (AS_IT_WAS, 1)])
def test_the_right_to_create_pods_is_given_back_also_by_a_test_that_failed(
    server, tmp_path, pod, status
):
    server.pod = pod
    done = run(server, tmp_path)
    assert done.returncode == status, done.stderr
    bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/team/rolebindings/lens-test"
    assert server.asked == [
        ("POST", "/api/v1/namespaces/team/pods?dryRun=All", "Bearer secret"),
        ("DELETE", bindings, "Bearer secret"),
    ]
