# SPDX-License-Identifier: Apache-2.0
"""The `caBundle` of our MutatingWebhookConfiguration: read, verified, and nothing else patched.

Platforms add selectors of their own to such configurations (AKS does); they are left alone.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import Any

from primus_lens_toolkit.kubernetes_api import Api

from primus_lens_webhook.ca.api import JSON_PATCH, ApiError, call
from primus_lens_webhook.ca.authority import Certificate, issued, load_bundle, valid

COLLECTION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Bundle:
    """As API servers have it, at the last look."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self._path = f"{COLLECTION}/{name}"
        self._live: list[bytes] = []

    def publish(self, wanted: bytes) -> None:
        """Look, and set the bundle of each webhook that has another. Raises ApiError."""
        webhooks = call(self._api, "GET", self._path).get("webhooks") or []
        text = base64.b64encode(wanted).decode()
        operations = _operations(webhooks, text)
        if operations:
            patched = call(self._api, "PATCH", self._path, operations, JSON_PATCH)
            webhooks = patched.get("webhooks") or []
        if not webhooks:
            raise ApiError(f"{self._path} has no webhooks")
        self._live = [_bundle(each) for each in webhooks]

    def trusts(self, certificate: Certificate, now: dt.datetime) -> bool:
        """Whether each webhook's bundle, when last seen, verifies a certificate."""
        return bool(self._live) and all(
            any(valid(each, now) and issued(each, certificate) for each in load_bundle(live))
            for live in self._live
        )


def _operations(webhooks: list[dict[str, Any]], wanted: str) -> list[dict[str, Any]]:
    """By index, since JSON patch knows no names; the test makes it fail where they moved."""
    operations: list[dict[str, Any]] = []
    for index, webhook in enumerate(webhooks):
        if (webhook.get("clientConfig") or {}).get("caBundle") != wanted:
            path = f"/webhooks/{index}"
            operations += [
                {"op": "test", "path": f"{path}/name", "value": webhook.get("name")},
                {"op": "add", "path": f"{path}/clientConfig/caBundle", "value": wanted},
            ]
    return operations


def _bundle(webhook: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode((webhook.get("clientConfig") or {}).get("caBundle") or "")
    except binascii.Error:
        return b""
