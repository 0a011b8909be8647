# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import signal
import socket
import ssl
import subprocess

import jsonpatch
import pytest
import trustme

from support.serving import until
from support.webhook import webhook_world
from support.webhook.webhook_world import operations, pod, review

LONG = json.dumps(review(pod(annotations={"x": "y" * 200_000}))).encode()


def test_a_labelled_pod_comes_back_injected(webhook):
    response = webhook.ask(review())
    assert (response["uid"], response["allowed"]) == ("uid-1", True)
    after = jsonpatch.JsonPatch(operations(response)).apply(pod())
    assert after["spec"]["containers"][0]["command"][0] == "/opt/primus-lens/env"
    assert response["auditAnnotations"] == {
        "decision": "injected", "reason": "pod-label", "containers": "main",
    }  # fmt: skip
    assert "warnings" not in response


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\x00\xff garbage",
        b"[1]",
        b"{}",
        b'{"request":7}',
        b'{"request":{"uid":[]}}',
        b"[" * 90_000,
        json.dumps(review(kind={"kind": "Node"})).encode(),
        json.dumps(review(operation="UPDATE")).encode(),
        json.dumps(review(subResource="ephemeralcontainers")).encode(),
        json.dumps(review({"spec": {"containers": "all"}})).encode(),
        LONG,
    ],
    ids=lambda question: question[:12].decode(errors="replace"),
)
def test_whatever_is_asked_is_allowed_and_unchanged(webhook, question):
    response = webhook.ask(question)
    assert response["allowed"] is True
    assert "patch" not in response


def test_errors_are_warned_of_and_counted(webhook):
    before = [webhook.admissions("skipped", reason) for reason in ("error", "too-large")]
    assert "longer than 100000" in webhook.ask(LONG)["warnings"][0]
    assert "application/json" in webhook.ask(review(), "text/plain")["warnings"][0]
    after = [webhook.admissions("skipped", reason) for reason in ("error", "too-large")]
    assert after == [each + 1 for each in before]


def test_a_skip_that_nobody_asked_for_is_warned_of(webhook):
    asked = pod(annotations={"primus-lens.io/containers": "nobody"})
    (warning,) = webhook.ask(review(asked))["warnings"]
    assert "no-container" in warning
    assert len(warning) <= 120
    off = pod(labels={"primus-lens.io/wandb": "disabled"})
    assert "warnings" not in webhook.ask(review(off))


def test_what_may_not_be_as_expected_of_an_injected_pod_is_warned_of(webhook):
    asked = pod()
    del asked["spec"]["containers"][0]["command"]
    response = webhook.ask(review(asked))
    (warning,) = response["warnings"]
    assert operations(response)
    assert warning.startswith("primus-lens: a PYTHONPATH of the image is hidden")


def test_a_dry_run_gets_the_same_patch_and_a_count_of_its_own(webhook):
    before = webhook.admissions("injected", "pod-label", "exec", "true") or 0
    assert operations(webhook.ask(review(dryRun=True))) == operations(webhook.ask(review()))
    assert webhook.admissions("injected", "pod-label", "exec", "true") == before + 1


def test_a_pod_without_a_name_or_namespace_is_injected(webhook):
    nameless = pod(name=None, generateName="train-")
    assert operations(webhook.ask(review(nameless, namespace=None)))


def test_a_client_that_sends_no_body_is_cut_off_and_others_are_served(webhook):
    slow = 'primus_lens_webhook_http_rejected_total{reason="slow_client"}'
    before = webhook.value(slow)
    with webhook.client() as client:
        client.putrequest("POST", "/mutate")
        client.putheader("Content-Length", "1000")
        client.endheaders(b"{")
        assert webhook.ask(review())["allowed"]
        with pytest.raises((ConnectionError, ssl.SSLError, TimeoutError)):
            client.getresponse()
    assert webhook.value(slow) == before + 1


def begin(stack, webhook, length, sent):
    """A client whose body of this length has come as far as that."""
    client = stack.enter_context(webhook.client())
    client.putrequest("POST", "/mutate")
    client.putheader("Content-Length", str(length))
    client.endheaders(b"x" * sent)
    return client


def test_where_bodies_are_too_much_together_the_longest_is_to_be_sent_again(webhook):
    displaced = "primus_lens_webhook_displaced_bodies_total"
    before = webhook.value(displaced)
    with contextlib.ExitStack() as stack:
        long, short = (begin(stack, webhook, 99_000, sent) for sent in (90_000, 50_000))
        begin(stack, webhook, 99_000, 50_000)
        until(lambda: webhook.value(displaced) == before + 1)
        assert webhook.ask(review())["allowed"]
        long.send(b"x" * 9_000)
        answer = long.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        short.send(b"x" * 49_000)
        assert short.getresponse().status == 200


@pytest.mark.exhaustive
def test_sixty_unfinished_bodies_take_little_memory_and_give_it_back(tmp_path):
    authority = trustme.CA()
    webhook_world.write_certificate(authority, tmp_path)
    with webhook_world.Webhook(authority, "--certificate.directory", tmp_path) as webhook:
        webhook.ask(review())
        most = 0
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    begin(stack, webhook, 8 << 20, (8 << 20) - 1)
                most = max(most, webhook.rss)
            assert webhook.ask(review())["allowed"]
        assert most < 150 << 20
        until(lambda: webhook.rss < 120 << 20)


def test_one_connection_serves_many_questions(webhook):
    with webhook.client() as client:
        for _ in range(3):
            headers = {"Content-Type": "application/json"}
            client.request("POST", "/mutate", json.dumps(review()), headers)
            assert client.getresponse().read()


def test_plain_http_gets_nothing_on_the_port_of_api_servers(webhook):
    with socket.create_connection(("127.0.0.1", webhook.tls_port), timeout=20) as plain:
        plain.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert not plain.recv(100).startswith(b"HTTP")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/healthz", "/readyz", "/metrics"])
def test_people_and_probes_have_a_port_of_their_own(webhook, path):
    assert webhook.status(path) == 200
    assert webhook.post(b"{}", path=path)[0] == 404


def test_a_hangup_does_not_end_it(webhook):
    webhook.process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        webhook.process.wait(timeout=1)
    assert webhook.ask(review())["allowed"]


@pytest.mark.exhaustive
def test_a_new_certificate_in_the_files_is_taken_up(tmp_path):
    first, second = trustme.CA(), trustme.CA()
    webhook_world.write_certificate(first, tmp_path)
    with webhook_world.Webhook(first, "--certificate.directory", tmp_path) as webhook:
        expiry = webhook.value("primus_lens_webhook_certificate_expiry_timestamp_seconds")
        (tmp_path / "tls.key").write_text("half a key")
        assert webhook.serial()
        webhook_world.write_certificate(second, tmp_path)
        webhook.authority = second
        until(lambda: verifies(webhook))
        assert expiry > 1.7e9
        assert webhook.value("primus_lens_webhook_ca_bundle_in_sync") is None


def verifies(webhook):
    try:
        return webhook.serial()
    except ssl.SSLError:
        return None


def test_without_a_certificate_it_lives_but_is_not_ready(tmp_path):
    authority = trustme.CA()
    webhook = webhook_world.Webhook(authority, "--certificate.directory", tmp_path)
    webhook.start()
    until(lambda: webhook.status("/-/healthy") == 200)
    assert webhook.status("/-/ready") == 503
    webhook_world.write_certificate(authority, tmp_path)
    until(lambda: webhook.status("/-/ready") == 200)
    until(lambda: verifies(webhook))
    webhook.__exit__()
    assert "cannot read the certificate" in webhook.log


def test_a_port_in_use_ends_it_with_the_name_of_the_flag(webhook, tmp_path):
    webhook_world.write_certificate(trustme.CA(), tmp_path)
    second = webhook_world.Webhook(b"", "--certificate.directory", tmp_path)
    second.command += ["--webhook.listen-address", f"127.0.0.1:{webhook.tls_port}"]
    second.start()
    assert second.process.wait(timeout=20) == 2
    second.stderr.seek(0)
    (line,) = second.stderr.read().splitlines()[-1:]
    second.stderr.close()
    assert line.startswith("primus-lens webhook: --webhook.listen-address 127.0.0.1:")
