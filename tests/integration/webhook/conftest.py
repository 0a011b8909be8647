# SPDX-License-Identifier: Apache-2.0
import pytest
import trustme

from support.webhook.admission_api import AdmissionApi
from support.webhook.webhook_world import Webhook, write_certificate


@pytest.fixture(scope="module")
def webhook(tmp_path_factory):
    """A real webhook with a certificate of ours, one for all tests of a module."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    write_certificate(authority, directory)
    flags = ["--webhook.max-body-bytes", "100000", "--web.write-timeout-seconds", "1"]
    flags += ["--webhook.max-bodies-bytes", "150000"]
    with Webhook(authority, "--certificate.directory", directory, *flags) as webhook:
        yield webhook


@pytest.fixture
def api(tmp_path):
    with AdmissionApi(tmp_path) as api:
        yield api
