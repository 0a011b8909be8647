# SPDX-License-Identifier: Apache-2.0
import datetime as dt
import threading

import pytest
from cryptography import x509
from primus_lens_toolkit.kubernetes_api import Api
from primus_lens_webhook.ca.authority import authority, issued, load_bundle, sign
from primus_lens_webhook.ca.manager import CertificateManager, Pace
from primus_lens_webhook.settings import DAY, Settings

from support.serving import until
from support.webhook import webhook_world

YEAR = 365 * DAY
SELF_MANAGED = (
    "--certificate.names=localhost",
    "--certificate.secret-namespace=own",
    "--certificate.secret-name=ca",
    "--certificate.webhook-configuration=primus-lens",
)


class Clock:
    def __init__(self):
        self.now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def replica(api, clock, monkeypatch):
    """Makes replicas whose looks a test calls itself."""
    monkeypatch.setenv("KUBECONFIG", api.environ["KUBECONFIG"])
    settings = Settings(
        certificate_names=("localhost", "192.0.2.1"),
        certificate_secret_namespace="own",
        certificate_secret_name="ca",
        certificate_webhook_configuration="primus-lens",
        certificate_authority_lifetime_seconds=YEAR,
    )
    made = []

    def make():
        made.append(CertificateManager(Api(), settings, Pace(spread=60), clock))
        return made[-1]

    yield make
    for each in made:
        each._api.close()


def trusted(api, manager):
    leaf = manager._leaf.certificate
    return any(issued(each, leaf) for each in load_bundle(api.bundle))


def test_the_first_look_makes_everything(api, replica):
    manager = replica()
    assert not manager.ready
    assert manager.look()
    assert manager.ready
    assert trusted(api, manager)
    assert set(api.secrets["ca"]["data"]) == {"ca.crt", "ca.key"}
    names = manager._leaf.certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.value.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]


def test_a_look_at_what_is_as_it_should_be_writes_nothing(api, replica):
    manager = replica()
    manager.look()
    api.asked.clear()
    assert manager.look()
    assert set(api.asked) == {"GET"}


def test_replicas_that_start_at_once_share_one_authority(api, replica):
    managers = [replica() for _ in range(6)]
    threads = [threading.Thread(target=each.look) for each in managers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(each.ready and trusted(api, each) for each in managers)
    assert len({each._leaf.pem for each in managers}) == 6
    assert len(load_bundle(api.bundle)) == 1


def test_a_leaf_is_renewed_after_two_thirds_of_its_life_even_without_the_api(api, replica, clock):
    manager = replica()
    manager.look()
    first = manager._leaf.pem
    clock.forward(59 * DAY)
    manager.look()
    assert manager._leaf.pem == first
    api.stop()
    clock.forward(2 * DAY)
    assert not manager.look()
    assert manager._leaf.pem != first
    assert manager.ready


def test_at_rotation_no_api_server_ever_sees_a_leaf_that_it_does_not_trust(api, replica, clock):
    managers = [replica(), replica()]
    for _ in range(3 * 24):
        for each in managers:
            each.look()
            assert all(trusted(api, one) for one in managers if one._leaf)
            assert each.ready
        clock.forward(YEAR / 24)
    assert api.version >= 4  # it did rotate


def test_a_new_authority_signs_only_when_it_has_been_announced_for_a_while(api, replica, clock):
    manager = replica()
    manager.look()
    (old,) = load_bundle(api.bundle)
    clock.forward(YEAR * 0.7)
    manager.look()
    new, before = load_bundle(api.bundle)
    assert before == old
    assert issued(old, manager._leaf.certificate)
    clock.forward(61)
    manager.look()
    assert issued(new, manager._leaf.certificate)
    clock.forward(YEAR * 0.4)
    manager.look()
    assert load_bundle(api.bundle) == [new]


def test_a_replica_that_starts_amid_a_rotation_signs_with_what_is_known(api, replica, clock):
    replica().look()
    clock.forward(YEAR * 0.7)
    replica().look()
    late = replica()
    late.look()
    assert issued(load_bundle(api.bundle)[1], late._leaf.certificate)


def test_a_deleted_secret_is_a_rotation(api, replica, clock):
    manager = replica()
    manager.look()
    (old,) = load_bundle(api.bundle)
    api.secrets.clear()
    manager.look()
    _, before = load_bundle(api.bundle)
    assert before == old
    assert issued(old, manager._leaf.certificate)


@pytest.mark.parametrize("data", [None, {}, {"ca.crt": "!", "ca.key": "!"}, {"ca.crt": "YQ=="}])
def test_a_secret_that_makes_no_sense_is_written_anew(api, replica, data):
    metadata = {"name": "ca", "resourceVersion": "1", "labels": {"helm": "x"}}
    api.secrets["ca"] = {"metadata": metadata, "data": data}
    assert replica().look()
    assert api.secrets["ca"]["metadata"]["labels"] == {"helm": "x"}


def test_only_the_bundles_are_patched_and_repaired(api, replica):
    api.webhooks[0]["namespaceSelector"] = {"added": "by the platform"}
    manager = replica()
    manager.look()
    del api.webhooks[1]["clientConfig"]["caBundle"]
    assert manager.look()
    assert api.bundle
    assert api.webhooks[0]["namespaceSelector"] == {"added": "by the platform"}
    assert api.webhooks[0]["clientConfig"]["url"] == "https://x"


def test_webhooks_that_move_between_look_and_patch_are_left_alone(api, replica, monkeypatch):
    manager = replica()
    real = Api.request

    def swap(self, method, *arguments, **named):
        if method == "PATCH":
            api.webhooks.reverse()
            api.webhooks[0] = {"name": "foreign", "clientConfig": {}}
        return real(self, method, *arguments, **named)

    monkeypatch.setattr(Api, "request", swap)
    assert not manager.look()
    assert api.webhooks[0] == {"name": "foreign", "clientConfig": {}}
    assert not manager.ready


@pytest.mark.parametrize("verb", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_without_the_right_to_something_it_is_not_ready_until_it_has_it(api, replica, verb, status):
    manager = replica()
    api.refuse[verb] = status
    assert not manager.look()
    assert not manager.ready
    api.refuse.clear()
    assert manager.look()
    assert manager.ready


def test_a_leaf_never_outlives_its_authority(clock):
    short = authority(DAY, clock.now)
    leaf = sign(short, ["localhost"], YEAR, clock.now)
    assert leaf.certificate.not_valid_after_utc == short.certificate.not_valid_after_utc


def test_an_expired_leaf_is_not_ready(api, replica, clock):
    manager = replica()
    manager.look()
    clock.forward(91 * DAY)
    assert not manager.ready


def test_a_process_serves_with_its_own_certificate_and_outlives_the_api(api):
    with webhook_world.Webhook(b"", *SELF_MANAGED, environ=api.environ) as webhook:
        webhook.authority = api.bundle
        assert webhook.ask(webhook_world.review())["allowed"]
        assert webhook.value("primus_lens_webhook_ca_bundle_in_sync") == 1
        api.stop()
        assert webhook.ask(webhook_world.review())["allowed"]
        assert webhook.status("/-/ready") == 200


@pytest.mark.exhaustive
def test_a_process_without_the_api_waits_for_it(api):
    api.stop()
    webhook = webhook_world.Webhook(b"", *SELF_MANAGED, environ=api.environ)
    webhook.start()
    until(lambda: webhook.status("/-/healthy") == 200)
    assert webhook.status("/-/ready") == 503
    api.start()
    until(lambda: webhook.status("/-/ready") == 200)
    webhook.__exit__()
    assert "trying again" in webhook.log
