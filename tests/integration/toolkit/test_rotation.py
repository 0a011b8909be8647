# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import shutil
import ssl

import pytest
from primus_lens_toolkit import listen
from primus_lens_toolkit.web_config import WebConfigFile
from prometheus_client import CollectorRegistry, Counter

from support import sites
from support.serving import until
from support.sites import hashed, users_yaml


def opened(path):
    """What a server reads, and the counter of what it does not take."""
    failures = Counter("failures", "", registry=CollectorRegistry())
    return WebConfigFile(path, failures), failures


def replace(path, text):
    """As one write may not be told from another within a tick of the kernel's clock."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


def serial(there, authority):
    with there.handshake(authority.trusting()) as client:
        return client.getpeercert()["serialNumber"]


def test_a_new_certificate_is_taken_up_and_open_connections_stay(site, authority):
    there = site(authority.config())
    before = serial(there, authority)
    with there.client(authority.trusting()) as client:
        sites.ask(client)
        sock = client.sock
        authority.issue()
        until(lambda: serial(there, authority) != before)
        assert (sites.ask(client).status, client.sock) == (200, sock)
    assert there.reload_failures() == 0


def test_a_secret_that_kubernetes_swaps_is_taken_up(site, authority, tmp_path):
    """A Secret's files are links to ..data/NAME, and ..data is a link that is replaced."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "..data").symlink_to("..1")
    for name in ("server.crt", "server.key"):
        (mounted / name).symlink_to(f"..data/{name}")
    shutil.copytree(tmp_path, mounted / "..1", ignore=shutil.ignore_patterns("mounted"))
    there = site(authority.config(cert_file="mounted/server.crt", key_file="mounted/server.key"))
    before = serial(there, authority)
    authority.issue()
    shutil.copytree(tmp_path, mounted / "..2", ignore=shutil.ignore_patterns("mounted"))
    (mounted / "..new").symlink_to("..2")
    os.replace(mounted / "..new", mounted / "..data")
    until(lambda: serial(there, authority) != before)


@pytest.mark.exhaustive
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_of_a_ca_that_went_is_out_even_with_an_old_session(
    site, authority, stranger, version
):
    there = site(authority.mutual())
    client = authority.known(authority.trusting())
    client.maximum_version = version
    with there.handshake(client) as first:
        session = first.session
    with there.handshake(client, session) as second:
        assert second.session_reused
    stranger.ca.cert_pem.write_to_path(authority.directory / "ca.crt")
    newcomer = stranger.known(authority.trusting())

    def newcomer_is_in():
        with contextlib.suppress(*sites.SHUT):
            return there.status(tls=newcomer) == 200

    until(newcomer_is_in)
    with pytest.raises(sites.SHUT):
        there.handshake(client, session)


def test_users_come_and_go(site, tmp_path):
    path = tmp_path / "web.yml"
    path.write_text(users_yaml({"alice": hashed("old"), "bob": hashed("bob")}))
    there = site(path)
    assert [there.login("alice", "old"), there.login("bob", "bob")] == [200, 200]
    path.write_text(users_yaml({"alice": hashed("new")}))
    until(lambda: there.login("alice", "new") == 200)
    assert [there.login("alice", "old"), there.login("bob", "bob")] == [401, 401]


def test_a_change_is_read_when_it_is_over(tmp_path):
    path = tmp_path / "web.yml"
    path.write_text("")
    file, failures = opened(path)
    for text in ("half", "more", "http_server_config: {headers: {X-XSS-Protection: a}}"):
        replace(path, text)
        file.look()
        assert not file.current.headers
    file.look()
    assert file.current.headers == {"X-XSS-Protection": "a"}
    assert failures._value.get() == 0


def test_what_was_refused_is_not_read_again_until_it_changes(authority):
    file, failures = opened(authority.config())
    replace(authority.directory / "web.yml", authority.config(cert_file="late.crt").read_text())
    for _ in range(5):
        file.look()
    assert failures._value.get() == 1
    shutil.copy(authority.directory / "server.crt", authority.directory / "late.crt")
    before = file.current
    for _ in range(5):
        file.look()
    assert file.current is not before
    assert failures._value.get() == 1


@pytest.fixture
def looking_often(monkeypatch):
    monkeypatch.setattr(listen, "LOOK_SECONDS", 0.25)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("looking_often")
@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "TLS goes on or off with a restart only"),
        ("a: [", "docs/web-config.md lists the keys"),
        ('{"tls_server_config": {"cert_file": "a", "key_file": "a"}}', "cannot read"),
        (None, "No such file or directory"),
        ("open", "passwords go with a restart only"),
    ],
)
def test_a_new_file_that_is_wrong_changes_nothing(site, authority, caplog, text, part):
    path = authority.config(users={"alice": hashed("a")})
    good = path.read_text()
    there = site(path)
    if text == "open":
        text = json.dumps(json.loads(good) | {"basic_auth_users": None})
    path.unlink() if text is None else path.write_text(text)
    until(lambda: there.reload_failures() == 1)
    assert there.status(tls=authority.trusting()) == 401
    assert [part in r.error for r in caplog.records if r.levelname == "WARNING"] == [True]
    path.write_text(json.dumps(json.loads(good) | {"basic_auth_users": {"bob": hashed("b")}}))
    bob = sites.basic("bob", "b")
    until(lambda: there.status(tls=authority.trusting(), Authorization=bob) == 200)
    assert there.reload_failures() == 1
