# SPDX-License-Identifier: Apache-2.0
import asyncio
import contextlib
import shutil
import ssl
import subprocess

import pytest
from primus_lens_toolkit import listen
from primus_lens_toolkit.rejections import Rejections
from primus_lens_toolkit.web_config import BadWebConfig, WebConfigFile
from primus_lens_toolkit.web_settings import Address, WebSettings
from prometheus_client import CollectorRegistry, Counter

from support import sites
from support.serving import until

# docs/web-config.yml of prometheus/exporter-toolkit 0.13
TOOLKIT = """\
# TLS and basic authentication configuration example.
#
# Additionally, a certificate and a key file are needed.
tls_server_config:
  cert_file: server.crt
  key_file: server.key

# Usernames and passwords required to connect.
# Passwords are hashed with bcrypt: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md#about-bcrypt.
basic_auth_users:
  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze
  bob: $2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m
"""
EVERY_KEY = """\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]
  prefer_server_cipher_suites: false
http_server_config:
  http2: true
  headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=60}
"""


def load(path):
    return WebConfigFile(path, Counter("failures", "", registry=CollectorRegistry())).current


@pytest.mark.parametrize("text", [TOOLKIT, EVERY_KEY], ids=["toolkit", "every key"])
def test_a_file_for_prometheus_is_one_for_us(authority, text):
    path = authority.directory / "web.yml"
    path.write_text(text)
    assert load(path).tls
    promtool = shutil.which("promtool") or pytest.skip("promtool is not installed")
    subprocess.run([promtool, "check", "web-config", path], check=True, capture_output=True)


@pytest.mark.parametrize("text", ["", "# nothing\n", "tls_server_config:\n"])
def test_a_file_that_asks_for_nothing_is_plain_http(site, tmp_path, text):
    (tmp_path / "web.yml").write_text(text)
    assert site(tmp_path / "web.yml").status() == 200


CA = {"client_ca_file": "ca.crt"}
VERIFY = {"client_auth_type": "RequireAndVerifyClientCert"}


@pytest.mark.parametrize(
    ("tls", "part"),
    [
        ({"curve_preferences": ["X25519"]}, "unknown field `curve_preferences`"),
        ({"cert_file": 7}, "Expected `str`, got `int` - at `$.tls_server_config.cert_file`"),
        ({"cert_file": "gone.crt"}, "gone.crt: No such file or directory; make it a readable"),
        ({"key_file": "ca.crt"}, "give a PEM certificate and the unencrypted key"),
        ({"key_file": "other.key"}, "KEY_VALUES_MISMATCH; give a PEM certificate and the"),
        ({"key_file": "locked.key"}, "give a PEM certificate and the unencrypted key"),
        ({"client_auth_type": "RequireAnyClientCert"}, "client_auth_type: expected one of NoCl"),
        ({"min_version": "TLS10"}, "min_version: expected one of TLS12, TLS13, not 'TLS10'"),
        ({"min_version": "TLS13", "max_version": "TLS12"}, "min_version is above max_version"),
        ({"cipher_suites": ["TLS_RSA_WITH_RC4_128_SHA"]}, "cipher_suites: expected one of TLS_E"),
        ({"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}, "set min_version: TLS13 instead"),
        (CA, "client_ca_file goes with client_auth_type VerifyClientCertIfGiven or"),
        (VERIFY, "client_ca_file goes with client_auth_type VerifyClientCertIfGiven or"),
        (VERIFY | {"client_ca_file": "server.key"}, "client_ca_file server.key: no certificate"),
        ({"client_allowed_sans": ["a"]}, "client_allowed_sans needs client_auth_type Req"),
    ],
)
def test_bad_tls_is_refused_with_a_reason(authority, stranger, tls, part):
    shutil.copy(stranger.directory / "server.key", authority.directory / "other.key")
    lock = "openssl pkey -aes128 -passout pass:x -in server.key -out locked.key"
    subprocess.run(lock.split(), cwd=authority.directory, check=True)
    with pytest.raises(BadWebConfig) as caught:
        load(authority.config(**tls))
    assert str(caught.value).startswith(f"{authority.directory}/web.yml: ")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"rate_limit: {burst: 1}", "unknown field `rate_limit`; docs/web-config.md lists"),
        (b"a: [", "docs/web-config.md lists the keys"),
        (b"[" * 10_000, "docs/web-config.md lists the keys"),
        (b"\xff\xfe\x00", "docs/web-config.md lists the keys"),
        (b"a: !!int ''", "docs/web-config.md lists the keys"),
        (b"- a", "Expected `object | null`, got `array`"),
        (b"tls_server_config: {key_file: a}", "missing required field `cert_file`"),
        (b"basic_auth_users: {alice: secret}", "'alice' needs a bcrypt hash"),
        (b"basic_auth_users: {a: $2y$31$%s}" % (b"a" * 53), "with a cost of 4 to 16; make one"),
        (b"http_server_config: {headers: {Server: x}}", "headers: expected one of Content-Sec"),
        (b"http_server_config: {headers: {X-Frame-Options: x}}", "one of deny, sameorigin, not"),
        (b'http_server_config: {headers: {X-XSS-Protection: "a\\nb"}}', "on one line"),
    ],
)
def test_a_bad_file_is_refused_with_a_reason(tmp_path, text, part):
    (tmp_path / "web.yml").write_bytes(text)
    with pytest.raises(BadWebConfig) as caught:
        load(tmp_path / "web.yml")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_listens_with_a_file_that_is_not_there(tmp_path):
    settings = WebSettings(web_config_file=tmp_path / "web.yml")
    rejections = Rejections(CollectorRegistry(), "")
    with pytest.raises(listen.CannotListen, match=r"--web.config.file .*web.yml: No such file"):
        asyncio.run(listen.listen(None, Address("", 0), settings, rejections))


def test_tls_serves_who_trusts_it_and_only_with_tls(site, authority, stranger):
    there = site(authority.config())
    assert there.status(tls=authority.trusting()) == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        there.status(tls=stranger.trusting())
    with pytest.raises(ConnectionError):
        there.status()
    until(lambda: there.refused("tls_handshake") == 2)


def test_curl_takes_part_in_mutual_tls(site, authority):
    there = site(authority.mutual())
    made = authority.ca.issue_cert("prometheus")
    made.private_key_and_cert_chain_pem.write_to_path(authority.directory / "client.pem")
    curl = ["curl", "-sS", "--cacert", "ca.crt", f"https://localhost:{there.port}/"]
    done = subprocess.run(
        [*curl, "--cert", "client.pem"], cwd=authority.directory, text=True, capture_output=True
    )
    assert (done.stdout, done.stderr) == ("ok", "")
    assert subprocess.run(curl, cwd=authority.directory, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("auth", "none", "foreign"),
    [("RequireAndVerifyClientCert", False, False), ("VerifyClientCertIfGiven", True, False)],
)
def test_client_certificates(site, authority, stranger, auth, none, foreign):
    there = site(authority.mutual(client_auth_type=auth))

    def let_in(tls):
        with contextlib.suppress(*sites.SHUT):
            return there.status(tls=tls) == 200
        return False

    assert let_in(authority.known(authority.trusting()))
    assert let_in(authority.trusting()) == none
    assert let_in(stranger.known(authority.trusting())) == foreign


@pytest.mark.parametrize("name", ["prometheus", "10.0.0.7", "2001:db8::7"])
def test_only_clients_with_an_allowed_name_come_in(site, authority, name):
    there = site(authority.mutual(client_allowed_sans=[name]))
    assert there.status(tls=authority.known(authority.trusting(), name)) == 200
    with pytest.raises(sites.SHUT):
        there.status(tls=authority.known(authority.trusting(), "10.0.0.8"))
    assert there.refused("client_certificate") == 1


def test_versions_and_cipher_suites_are_as_configured(site, authority):
    suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    there = site(authority.config(max_version="TLS12", cipher_suites=[suite]))
    with there.handshake(authority.trusting()) as client:
        assert client.version() == "TLSv1.2"
        assert client.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    newer = authority.trusting()
    newer.minimum_version = ssl.TLSVersion.TLSv1_3
    with pytest.raises(ssl.SSLError):
        there.status(tls=newer)


def test_headers_are_on_every_response(site, authority):
    there = site(authority.config(headers={"X-Frame-Options": "deny"}))
    for path in ("/", "/nothing"):
        assert there.ask(path, authority.trusting()).headers["X-Frame-Options"] == "deny"
