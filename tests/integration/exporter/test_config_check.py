# SPDX-License-Identifier: Apache-2.0
"""`primus-lens exporter --check-config`, as a process."""

import os
import subprocess
import sys

import pytest

from support.environment import clean_environ
from support.serving import free_port

GOOD = {
    "sampling": "rules: [{keys: [lr], every: 10}]",
    "remote-write": "remote_timeout: 30s",
    "otlp": "headers: {X-Scope-OrgID: research}",
    "web": "basic_auth_users: {}",
}
BAD = {
    "sampling": ("rules: [{keys: [lr], evry: 10}]", "rule 1: 'evry' is not known; the words are"),
    "remote-write": ("remote_timeout: 30", "Expected `str`"),
    "otlp": ("endpoint: http://x", "endpoint is not supported: give it as --otlp.endpoint"),
    "web": ("passwords: {}", "unknown field `passwords`"),
}


@pytest.fixture
def check(tmp_path):
    def run(*flags, environ=(), **files):
        (tmp_path / "records").mkdir(exist_ok=True)
        named = ["--records.path", tmp_path / "records"]
        for name, text in files.items():
            path = tmp_path / f"{name}.yaml"
            path.write_text(text)
            named += [f"--{name}.config.file", path]
        command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--check-config"]
        return subprocess.run(
            [*command, *named, *flags],
            env={**clean_environ(), **dict(environ)},
            capture_output=True,
            text=True,
        )

    return run


def test_each_file_that_is_right_is_named(check, tmp_path):
    done = check(**GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    named = [f"ok: --{name}.config.file {tmp_path}/{name}.yaml" for name in GOOD]
    assert done.stdout.splitlines() == ["ok: flags", *named]


@pytest.mark.parametrize("name", BAD)
def test_one_that_is_wrong_is_said_in_one_line_and_the_others_are_checked(check, tmp_path, name):
    text, said = BAD[name]
    done = check(**{**GOOD, name: text})
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"--{name}.config.file: {tmp_path}/{name}.yaml: ")
    assert said in line
    assert len(done.stdout.splitlines()) == 4


def test_a_name_that_is_not_utf_8(check, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xe4.yaml")
    with open(path, "w") as file:
        file.write(GOOD["sampling"])
    done = check("--sampling.config.file", path, environ={"PYTHONIOENCODING": "utf-8"})
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_file_names_is_read_too(check):
    url = ("--remote-write.url", "https://x/", "--remote-write.spool-directory", "/none")
    done = check(*url, **{"remote-write": "tls_config: {ca_file: none.pem}"})
    assert done.returncode == 2
    assert "none.pem: No such file or directory" in done.stderr


def test_a_wrong_flag(check):
    done = check("--series.grace-seconds", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--series.grace-seconds: expected a whole number" in done.stderr


def test_nothing_is_started_and_nothing_made(check, tmp_path):
    spool = tmp_path / "spool"
    address = f"127.0.0.1:{free_port()}"
    to = ("--otlp.endpoint", "http://127.0.0.1:1", "--otlp.spool-directory", spool)
    assert check("--web.listen-address", address, *to).returncode == 0
    assert not spool.exists()


def test_an_exporter_does_not_start_with_rules_that_are_wrong(check, tmp_path):
    check(sampling="rules: [{keys: [lr]}]")
    flags = ["--records.path", tmp_path / "records", "--web.listen-address", "127.0.0.1:0"]
    flags += ["--sampling.config.file", tmp_path / "sampling.yaml"]
    command = [sys.executable, "-m", "primus_lens_cli", "exporter", *flags]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("primus-lens exporter: --sampling.config.file: ")
    assert "rule 1: it leaves nothing out; give every" in line


def test_what_ends_a_start_is_said_in_one_line(tmp_path):
    (tmp_path / "config.yaml").write_text("tls_config: {ca_file: none.pem}")
    flags = ["--records.path", tmp_path, "--web.listen-address", "127.0.0.1:0"]
    flags += ["--remote-write.url", "https://x/", "--remote-write.spool-directory", tmp_path]
    flags += ["--remote-write.config.file", tmp_path / "config.yaml"]
    command = [sys.executable, "-m", "primus_lens_cli", "exporter", *flags]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, timeout=60)
    (line,) = done.stderr.splitlines()
    assert "none.pem: No such file" in line
