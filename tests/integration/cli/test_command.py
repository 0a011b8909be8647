# SPDX-License-Identifier: Apache-2.0
import os
import signal
import socket
import subprocess
import sys

import pytest
from primus_lens_cli.main import COMMANDS

from support import matrix
from support.environment import clean_environ
from support.repository import ROOT


def primus_lens(*arguments, python=sys.executable, **environ):
    return subprocess.run(
        [python, "-m", "primus_lens_cli", *map(str, arguments)],
        env={**clean_environ(), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_teaches(command):
    done = primus_lens(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: primus-lens" in done.stdout


PARTS = [str(ROOT / part) for part in ("hook", "toolkit", "exporter", "webhook", "cli", "demo")]
BARE = {"PYTHONPATH": ":".join(PARTS)}


def without_extras(*arguments):
    command = [sys.executable, "-S", "-m", "primus_lens_cli", *arguments]
    return subprocess.run(
        command, env={**clean_environ(), **BARE}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_extra(command):
    done = without_extras(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: primus-lens {command}")


def test_help_of_the_webhook_and_inject_is_whole_without_the_extra():
    for command in ("webhook", "inject"):
        assert "--inject.image IMAGE" in without_extras(command, "--help").stdout


@pytest.mark.parametrize(
    "command", ["exporter", "webhook --certificate.directory .", "inject -f -"]
)
def test_a_missing_extra_is_named(command):
    done = without_extras(*command.split())
    extra = COMMANDS[command.split()[0]].extra
    assert done.returncode == 2
    assert f"pip install '.[{extra}]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "command",
    ["--help", "hook check", "hook --help", "exporter --help",
     f"inject -f {ROOT}/manifests/self-signed/primus-lens-wandb.yaml --inject.image i:1"],
)  # fmt: skip
def test_a_reader_who_leaves_early_is_no_fault(command):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "primus_lens_cli", *command.split()]
    done = subprocess.run(command, env=clean_environ(), stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode in (0, 1)  # argparse passes over it
    assert b"Broken" not in done.stderr


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], ["nothing", "exporter"]),
        (["exporter"], ["nothing to read", "--records.path", "--records.kubelet-root"]),
        (["exporter", "--records.kubelet-root", "."], ["--kubernetes.node-name"]),
        (
            ["exporter", "--records.kubelet-root", ".", "--kubernetes.node-name", "n"],
            ["Kubernetes API", "KUBECONFIG"],
        ),
        (["exporter", "--records.path", ".", "--keys.deny", "("], ["--keys.deny", "RE2"]),
        (
            ["exporter", "--records.path", ".", "--remote-write.url", "http://localhost/"],
            ["--remote-write.spool-directory"],
        ),
        (
            ["exporter", "--records.path", ".", "--web.config.file", "/nothing"],
            ["--web.config.file", "/nothing"],
        ),
        (["exporter", "--records.path", ".", "--records.all-nodes=x"], ["true or false"]),
        (["exporter", "--records.path", "/no/such"], ["--records.path", "/no/such", "create"]),
        (["exporter", "--records.path", "/etc/passwd"], ["--records.path", "not a directory"]),
        (["exporter", "--records.path=/", "--web.listen-address=80"], ["--web.listen-address"]),
        (["exporter", "--records.path=/", "--web.listen-address=::1:80"], ["brackets"]),
        (["exporter", "--records.path=/", "--web.listen-address=192.0.2.1:80"], ["no such addr"]),
        (["exporter", "--records.path=/", "--limits.line-bytes=-1"], ["--limits.line-bytes", "-1"]),
        (["exporter", "--records.path=/", "--log.level=loud"], ["--log.level", "debug, info"]),
        (["exporter", "--records.path=/", "--nothing"], ["--nothing", "--help"]),
        (["hook"], ["check"]),
        (["run"], ["train.py"]),
        (["demo", "/no/such.py"], ["/no/such.py"]),
        (["demo", __file__, "--steps", "0"], ["--steps", "above zero"]),
    ],
)  # fmt: skip
def test_bad_usage_is_one_line_and_status_2(arguments, words):
    done = primus_lens(*arguments)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if not line.startswith("usage:")]
    assert len(errors) == 1, done.stderr
    assert all(word in errors[0] for word in words), errors


def test_environment_twins(tmp_path):
    names = {"RECORDS_PATH": f"{tmp_path},/no/such", "LOG_LEVEL": "info"}
    done = primus_lens("exporter", **{f"PRIMUS_LENS_EXPORTER_{k}": v for k, v in names.items()})
    assert done.returncode == 2
    assert "PRIMUS_LENS_EXPORTER_RECORDS_PATH: /no/such" in done.stderr


def test_a_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = primus_lens("exporter", "--records.path", tmp_path, "--web.listen-address", where)
    assert done.returncode == 2
    assert f"--web.listen-address {where}: the port is in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_check_says_that_the_hook_loads():
    done = primus_lens("hook", "check")
    assert done.returncode == 0
    assert "loads" in done.stdout
    assert "declined     nothing\n" in done.stdout


def test_check_says_what_this_wandb_lacks(tmp_path):
    for module in ("wandb", "wandb/sdk"):
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").touch()
    log = "class Run:\n    def log(self, data, step=None, commit=None): pass\nprint('loud')\n"
    (tmp_path / "wandb" / "sdk" / "wandb_run.py").write_text(log)
    (tmp_path / "wandb" / "__init__.py").write_text("import wandb.sdk.wandb_run")
    where = {"PYTHONPATH": str(tmp_path), "PRIMUS_LENS_WANDB_OUTPUT_PATH": str(tmp_path / "out")}
    done = primus_lens("hook", "check", **where)
    assert "step_fix: Run.step is no property; tensorboard: no" in done.stdout
    assert "loud" not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


def test_check_says_why_not():
    done = primus_lens("hook", "check", PRIMUS_LENS_WANDB_HOOK="off")
    assert done.returncode == 1
    assert "PRIMUS_LENS_WANDB_HOOK=off" in done.stdout


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -9 $$", -9)])
def test_run_becomes_the_command(command, status):
    done = primus_lens("run", "--", "sh", "-c", command, PRIMUS_LENS_WANDB_OUTPUT_PATH="/tmp")
    assert done.returncode == status
    assert done.stderr == ""


def test_run_loads_the_hook_in_an_interpreter_that_lacks_it():
    bare = matrix.interpreter("3.8") or pytest.skip("no Python 3.8 on this machine")
    program = "import sys; print('primus_lens_hook.boot' in sys.modules)"
    done = primus_lens("run", "--", bare, "-c", program)
    assert done.stdout == "True\n"
    assert "PRIMUS_LENS_WANDB_OUTPUT_PATH is not set" in done.stderr


def test_run_of_what_is_not_there():
    done = primus_lens("run", "--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_an_interrupted_command_ends_without_a_traceback(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "primus_lens_cli", "exporter", "--records.path", tmp_path,
         "--web.listen-address", "127.0.0.1:0"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert any("listening" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    log = process.communicate(timeout=10)[1]
    assert process.returncode == 0
    assert "Traceback" not in log
