# SPDX-License-Identifier: Apache-2.0
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from primus_lens_toolkit.rejections import Rejections
from primus_lens_toolkit.same_site import SameSite
from prometheus_client import CollectorRegistry

EVIL = "evil.example.com:10471"


@pytest.fixture
def same_site():
    return SameSite(("gpu-17.corp.example.com", ""), Rejections(CollectorRegistry(), ""))


def asked(host, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    headers = {"Host": host, **named}
    return make_mocked_request("GET", "/api/v1/runs", headers, app=web.Application())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:10471",
        "10.1.2.3",
        "[::1]:10471",
        "[2001:db8::7]",
        "localhost:10471",
        "LocalHost",
        "gpu-17:10471",
        "gpu-17.corp.example.com:10471",
        "gpu-17.local",
        "exporter.monitoring.svc:10471",
        "exporter.monitoring.svc.cluster.local.",
        "",
    ],
)
def test_names_that_can_be_nobody_elses_are_answered(same_site, host):
    assert same_site.refusal(asked(host)) is None


@pytest.mark.parametrize(
    "host",
    [
        EVIL,
        "localhost.evil.example.com",
        "127.0.0.1.evil.example.com",
        "gpu-17.corp.example.com.evil.example",
        "notlocal.evillocal.com",
        "a.b.svc.evil.example",
        "127.1.evil",
    ],
)
def test_names_that_could_be_another_sites_are_not(same_site, host):
    assert "could be anybody's" in same_site.refusal(asked(host))


@pytest.mark.parametrize(
    ("host", "headers", "allowed"),
    [
        ("localhost:10471", {"Sec_Fetch_Site": "same-origin"}, True),
        ("localhost:10471", {"Sec_Fetch_Site": "cross-site"}, False),
        ("localhost:10471", {"Sec_Fetch_Site": "same-site"}, False),  # another port of localhost
        ("lens.example.com", {"Sec_Fetch_Site": "same-origin"}, True),  # behind a proxy with TLS
        (EVIL, {"Sec_Fetch_Site": "none"}, True),  # what no script of a page can say
        ("localhost:10471", {"Origin": "http://localhost:10471"}, True),
        ("localhost:10471", {"Origin": "http://localhost:3000"}, False),
        ("localhost:10471", {"Origin": "null"}, False),
        (EVIL, {"Origin": f"http://{EVIL}"}, False),
        (EVIL, {"X_Forwarded_Host": "localhost"}, False),
    ],
)
def test_what_a_browser_says_of_a_request(same_site, host, headers, allowed):
    assert (same_site.refusal(asked(host, **headers)) is None) is allowed
