# SPDX-License-Identifier: Apache-2.0
"""Of what an injected pod is warned."""

import pytest
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

IMAGE_PATH = "primus-lens.io/image-pythonpath"
PREPEND = {"primus-lens.io/python-env": "prepend"}
SITE = {
    "primus-lens.io/python-env": "site-packages",
    "primus-lens.io/site-packages": "/site",
}


def warnings(annotations=(), **container):
    pod = {
        "metadata": {"annotations": dict(annotations)},
        "spec": {"containers": [{"name": "main", "image": "i", **container}]},
    }
    done = mutate(pod, Options()).decision
    assert done.decision == "injected"
    return list(done.warnings)


def test_a_pythonpath_of_the_image_that_ours_hides():
    (warning,) = warnings(args=["train.py"])
    assert warning.startswith("a PYTHONPATH of the image is hidden; ")
    assert IMAGE_PATH in warning
    assert len("primus-lens: " + warning) <= 120


@pytest.mark.parametrize("path", ["", "/workspace"])
def test_whoever_has_named_it_is_not_warned(path):
    assert warnings({IMAGE_PATH: path}, args=["train.py"]) == []


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["python", "train.py"]},
        {"env": [{"name": "PYTHONPATH", "value": "/workspace"}]},
    ],
)
def test_where_none_is_hidden_there_is_no_warning(container):
    assert warnings(**container) == []


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (["/usr/sbin/sshd", "-De"], None),
        (["/usr/sbin/sshd"], ["-D"]),
        (["sh", "-c"], ["mkdir -p /run/sshd; exec /usr/sbin/sshd -De"]),
        (["tini", "--", "bash", "-lc", "ssh-keygen -A && /usr/sbin/sshd -D"], None),
    ],
)
@pytest.mark.parametrize("mode", [{}, PREPEND, SITE], ids=["auto", "prepend", "site-packages"])
def test_sessions_of_sshd_have_no_variables(mode, command, args):
    *_, warning = warnings(mode, command=command, args=args)
    assert "sshd" in warning
    assert "mpirun -x" in warning
    assert len("primus-lens: " + warning) <= 120


IDLE = [
    ["sleep", "infinity"],
    ["/bin/sh", "-c", "sleep infinity"],
    ["bash", "-lc", "trap : TERM INT; sleep infinity & wait"],
    ["sh", "-c", "while true; do sleep 30; done"],
    ["tail", "-f", "/dev/null"],
    ["bash", "-c", "service ssh start\nsleep 1d"],
]


@pytest.mark.parametrize("command", IDLE, ids=" ".join)
def test_what_kubectl_exec_starts_beside_a_command_that_idles(command):
    (warning,) = warnings(command=command)
    assert "kubectl exec" in warning
    assert "primus-lens.io/python-env" in warning
    assert len("primus-lens: " + warning) <= 120


@pytest.mark.parametrize("command", IDLE, ids=" ".join)
@pytest.mark.parametrize("mode", [PREPEND, SITE], ids=["prepend", "site-packages"])
def test_it_has_the_hook_where_the_pod_has_the_variables(mode, command):
    assert not [each for each in warnings(mode, command=command) if "kubectl" in each]


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c", "python train.py; sleep infinity"],
        ["sh", "-c", "while true; do python train.py; sleep 5; done"],
        ["sh", "-c", "sleep 5 && torchrun train.py"],
        ["bash", "run.sh", "sleep"],
        ["python", "-c", "sleep"],
        ["tail", "-f", "train.log"],
        ["sh", "-c", "echo sleep"],
        ["sh", "-c", ""],
        ["sh", "-c"],
        ["sh", "-c", "sleep 1;" * 10_000],
        ["tini", "--"],
    ],
    ids=lambda command: " ".join(command)[:30],
)
def test_a_command_that_may_train_is_not_warned_of(command):
    assert warnings(command=command) == []


def test_a_pod_of_many_containers_with_long_names_gets_few_short_warnings():
    names = [f"{each:x<63}" for each in range(64)]  # as many and as long as they may be
    asked = {"primus-lens.io/containers": ",".join(names)}
    spec = {"containers": [{"name": name, "image": "i"} for name in names]}
    done = mutate({"metadata": {"annotations": asked}, "spec": spec}, Options()).decision
    assert 0 < len(done.warnings) <= 10
    assert max(map(len, done.warnings)) <= 120


def test_a_second_look_says_the_same():
    command = ["/opt/primus-lens/env", "--", "sleep", "infinity"]
    assert warnings(command=command) == warnings(command=["sleep", "infinity"])
