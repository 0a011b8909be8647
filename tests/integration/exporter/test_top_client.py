# SPDX-License-Identifier: Apache-2.0
"""How `primus-lens top` reaches an exporter, and the one line that it says when it cannot."""

import contextlib
import functools
import http.server
import json
import os
import socket
import subprocess
import threading

import pytest

from support import sites, terminals
from support.serving import Exporter, free_port, record, until

PASSWORD = "pass-w0rd"
OLD = b"<!doctype html><h1>Primus Lens WandB exporter</h1>"


def top(url, config=None):
    flags = [f"--http.config.file={config}"] if config else []
    done = subprocess.run(
        [*terminals.PROGRAM, "top", str(url), "--once", *flags],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def answering(status, body=b"", landing=b"", **headers):
    """A server that is no exporter of today."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = landing if self.path == "/" else body
            self.send_response(200 if self.path == "/" else status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404,), "is no Primus Lens exporter"),
        ((404, b"", OLD), "too old for this command (no /api/v1/runs); upgrade it"),
        ((200, b"<html>"), "is no Primus Lens exporter"),
        ((200, b'{"now": 1, "runs": []}'), "is no Primus Lens exporter"),
        ((200, b"[" * 100_000), "is no Primus Lens exporter"),
        ((200, b'{"now": 1e999}'), "is no Primus Lens exporter"),
        ((500,), "is no Primus Lens exporter; give an exporter's address (status 500)"),
        ((503,), "busy or not ready (503)"),
        ((302,), "a redirect (302), which is not followed"),
        ((401,), "asks for credentials; give them in a file, with --http.config.file"),
    ],
)
def test_what_answers_otherwise_is_told_in_one_line(answer, said):
    with answering(*answer) as url:
        status, printed = top(url)
    assert status == 1
    assert printed.startswith(f"primus-lens top: {url}: ")
    assert said in printed
    assert printed.count("\n") == 1


def test_a_redirect_does_not_get_the_password(tmp_path):
    (tmp_path / "http.yml").write_text(f"basic_auth: {{username: me, password: {PASSWORD}}}")
    with answering(200, OLD) as target, answering(302, Location=target) as url:
        assert "not followed" in top(url, tmp_path / "http.yml")[1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1", "connection refused; is an exporter running there?"),
        ("http://localhost", "is an exporter running there?"),
        ("http://no-such-host.invalid", "is an exporter running there?"),
    ],
)
def test_nobody_there(url, said):
    url = f"{url}:{free_port()}"
    status, printed = top(url)
    assert (status, printed.count("\n")) == (1, 1)
    assert printed.startswith(f"primus-lens top: {url}: ")
    assert said in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "URL: expected a URL such as http://127.0.0.1:10471"),
        ([f"ftp://me:{PASSWORD}@host"], "expected a URL such as"),
        (["--interval=0"], "--interval: expected a whole number above zero"),
        (["--http.config.file=/no/such"], "--http.config.file: /no/such: No such file"),
        (["--nothing"], "--nothing"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments, said):
    done = subprocess.run([*terminals.PROGRAM, "top", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert PASSWORD not in done.stderr


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oauth2: {}", "oauth2 is not supported: give a token"),
        ("remote_timeout: 30s", "unknown field `remote_timeout`"),
        ("basic_auth: {password: 12}", "$.basic_auth.password"),
        ("basic_auth: {}\nauthorization: {credentials: x}", "exclude each other"),
        ("basic_auth: {password_file: missing}", "missing: No such file"),
        (f"basic_auth: {{password: '{PASSWORD}", "not YAML"),
    ],
)
def test_a_bad_file_is_one_line_without_secrets(tmp_path, text, said):
    (tmp_path / "http.yml").write_text(text)
    status, printed = top("http://localhost:1", tmp_path / "http.yml")
    assert (status, printed.count("\n")) == (2, 1)
    assert said in printed


def test_credentials_in_the_url_and_in_the_file_exclude_each_other(tmp_path):
    (tmp_path / "http.yml").write_text("authorization: {credentials: x}")
    status, printed = top(f"http://me:{PASSWORD}@localhost:1", tmp_path / "http.yml")
    assert (status, "keep one of them" in printed) == (2, True)


def listens(port):
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """An exporter with TLS and a password, and the directory of its CA."""
    directory = tmp_path_factory.mktemp("secured")
    rank = directory / "records" / "node_0" / "rank_0"
    rank.mkdir(parents=True)
    (rank / "wandb_metrics.jsonl").write_bytes(record(run="secret-run", loss=1))
    config = sites.Authority(directory).config(users={"me": sites.hashed(PASSWORD)})
    exporter = Exporter(directory / "records", f"--web.config.file={config}")
    exporter.start()
    until(functools.partial(listens, exporter.port))
    yield f"https://localhost:{exporter.port}", directory
    exporter.__exit__()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("scheme", "file", "status", "said"),
    [
        ("https", {"ca_file": "ca.crt", "password": PASSWORD}, 0, "secret-run"),
        ("https", {"ca_file": "ca.crt", "password_file": "password"}, 0, "secret-run"),
        ("https", {"insecure_skip_verify": True, "password": PASSWORD}, 0, "secret-run"),
        ("https", {"ca_file": "ca.crt", "password": "wrong"}, 1, "the credentials are refused"),
        ("https", {"ca_file": "ca.crt"}, 1, "it asks for credentials"),
        ("https", {"password": PASSWORD}, 1, "its certificate is not trusted ("),
        ("https", {"ca_file": "ca.crt", "server_name": "other"}, 1, "is not trusted (Hostname"),
        ("http", {"password": PASSWORD}, 1, "if the exporter has TLS, give an https:// URL"),
    ],
)
def test_tls_and_a_password(secured, scheme, file, status, said):
    url, directory = secured
    (directory / "password").write_text(PASSWORD + "\n")
    basic = {"username": "me", **{k: v for k, v in file.items() if "password" in k}}
    document = {"tls_config": {k: v for k, v in file.items() if "password" not in k}}
    document |= {"basic_auth": basic} if len(basic) > 1 else {}
    (directory / "http.yml").write_text(json.dumps(document))
    got, printed = top(url.replace("https", scheme), directory / "http.yml")
    assert (got, said in printed) == (status, True), printed


def test_tls_with_one_who_has_none(tmp_path):
    (tmp_path / "records").mkdir()
    with Exporter(tmp_path / "records") as exporter:
        status, printed = top(exporter.url.replace("http:", "https:"))
    assert (status, "give an http:// URL" in printed) == (1, True), printed


def test_a_password_in_the_url(tmp_path):
    (tmp_path / "web.yml").write_text(sites.users_yaml({"me": sites.hashed(PASSWORD)}))
    (tmp_path / "records").mkdir()
    exporter = Exporter(tmp_path / "records", f"--web.config.file={tmp_path / 'web.yml'}")
    exporter.start()
    until(lambda: exporter.status("/") == 401)
    status, printed = top(exporter.url.replace("//", f"//me:{PASSWORD}@"))
    exporter.__exit__()
    assert (status, "No run to show" in printed) == (0, True), printed
