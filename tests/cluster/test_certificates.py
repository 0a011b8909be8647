# SPDX-License-Identifier: Apache-2.0
"""A certificate of others expires, and is replaced: pods are created all the time."""

import base64
import contextlib
import datetime as dt
import json
import time

import pytest
from primus_lens_webhook.ca.authority import authority, sign

from support import cluster_release, cluster_world
from support.cluster_release import asked, create, identity, injected
from support.cluster_world import kubectl
from support.injected_pods import Case
from support.serving import until

cluster_release.require()

DAY = 86_400
AGO = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
AUTHORITY = authority(365 * DAY, AGO)
RELEASE = "certificates"
SERVICE = f"{RELEASE}-primus-lens-wandb-webhook"
HANDSHAKES = 'primus_lens_webhook_http_rejected_total{reason="tls_handshake"}'


def secret(namespace, days):
    """With a certificate that was valid for so many days from thirty days ago."""
    leaf = sign(AUTHORITY, [f"{SERVICE}.{namespace}.svc"], days * DAY, AGO)
    data = {"tls.crt": leaf.pem, "tls.key": leaf.key_pem}
    data = {name: base64.b64encode(value).decode() for name, value in data.items()}
    metadata = {"name": "theirs", "namespace": namespace}
    document = {"kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
    kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", **document}))


@pytest.fixture(scope="module")
def release():
    """Whose certificate has expired before anybody has seen it."""
    with cluster_release.release(RELEASE) as made:
        secret(made.namespace, days=29)
        mode = {"mode": "existing", "existingSecret": "theirs", "caBundle": AUTHORITY.pem.decode()}
        made.install(webhook={"certs": mode})
        made.settled("exporter")
        until(lambda: HANDSHAKES in made.page("webhook", 10472), 60)
        yield made


@pytest.fixture(scope="module")
def users(release):
    with cluster_world.namespace() as name:
        yield name


@contextlib.contextmanager
def shown_to_api_servers(release):
    """As for the seconds until its probe has failed: the Service leads to the pod, ready or not."""
    patch = ["-n", release.namespace, "patch", "service", SERVICE, "-p"]
    spec = '{"spec": {"publishNotReadyAddresses": %s}}'
    kubectl(*patch, spec % "true")
    yield
    kubectl(*patch, spec % "false")


def handshakes(release):
    lines = release.page("webhook", 10472).splitlines()
    (line,) = [each for each in lines if each.startswith(HANDSHAKES)]
    return float(line.rpartition(" ")[2])


def created_as_it_is(namespace, name):
    before = time.monotonic()
    assert not injected(create(namespace, Case(name)))
    assert time.monotonic() - before < 10


@pytest.mark.timeout(200)
def test_an_api_server_refuses_an_expired_certificate_and_pods_are_created(release, users):
    before = handshakes(release)
    with shown_to_api_servers(release):
        until(lambda: not injected(asked(users)) and handshakes(release) > before, 30)
        created_as_it_is(users, "expired")


def test_the_replica_that_has_it_is_not_ready_and_pods_are_created(release, users):
    assert "Ready" not in release.page("webhook", 10472, "-/ready")
    until(lambda: not any(map(cluster_release.ready, release.pods("webhook"))), 60)
    created_as_it_is(users, "nobody-answers")


def test_the_exporter_counts_them(release, users):
    series = 'primus_lens_exporter_pods{state="expected_not_injected"} 2.0'
    until(lambda: series in release.page(), 30)


@pytest.mark.timeout(300)
def test_a_new_certificate_is_used_without_a_restart(release, users):
    (before,) = map(identity, release.pods("webhook"))
    secret(release.namespace, days=365)
    until(lambda: injected(asked(users)), 150)  # kubelets look at Secrets every other minute
    assert injected(create(users, Case("injected")))
    assert [identity(each) for each in release.pods("webhook")] == [before]
