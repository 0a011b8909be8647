# SPDX-License-Identifier: Apache-2.0
"""The Secret with the authorities that all replicas share: the newest, and the one before.

Whoever is first writes it; the others lose the race by 409 and read what is there. An
authority is succeeded after two thirds of its life, or when somebody deletes the Secret; the
one before stays, key and all, so that a replica can sign with it while the newest is not
known to every API server.
"""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any, NamedTuple

from primus_lens_toolkit.kubernetes_api import Api

from primus_lens_webhook.ca.api import ApiError, call
from primus_lens_webhook.ca.authority import (
    Identity,
    authority,
    load,
    renewal,
    valid,
)

CONFLICT, NOT_FOUND = 409, 404


class Authorities(NamedTuple):
    """Of these, `previous` may have expired."""

    newest: Identity
    previous: Identity | None = None

    def trusted(self, now: dt.datetime) -> bytes:
        """The PEM that verifies what either of them has signed."""
        previous = self.previous
        if previous is None or not valid(previous.certificate, now):
            return self.newest.pem
        return self.newest.pem + previous.pem


class AuthoritySecret:
    """Reads and writes one Secret."""

    def __init__(self, api: Api, namespace: str, name: str, lifetime: float) -> None:
        """`lifetime` of a new authority, in seconds."""
        self._api = api
        self._collection = f"/api/v1/namespaces/{namespace}/secrets"
        self._name = name
        self._lifetime = lifetime

    def agree(self, known: Authorities | None, now: dt.datetime) -> Authorities:
        """What all replicas go by from now on. Raises ApiError.

        `known` is what this replica went by until now: if the Secret is gone, that becomes
        the one before.
        """
        try:
            found = call(self._api, "GET", f"{self._collection}/{self._name}")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return self._write(None, known, now)
        there = _decoded(found)
        if there is not None and now < renewal(there.newest.certificate):
            return there
        return self._write(found, there or known, now)

    def _write(
        self, found: dict[str, Any] | None, before: Authorities | None, now: dt.datetime
    ) -> Authorities:
        made = Authorities(authority(self._lifetime, now), before.newest if before else None)
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self._name},
            "type": "Opaque",
        }
        if found is not None:  # its resourceVersion makes a write that comes second fail
            secret |= {"metadata": found["metadata"], "type": found.get("type", "Opaque")}
        secret["data"] = _encoded(made)
        try:
            if found is None:
                call(self._api, "POST", self._collection, secret)
            else:
                call(self._api, "PUT", f"{self._collection}/{self._name}", secret)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return self._others()
        return made

    def _others(self) -> Authorities:
        """What another replica has just written."""
        there = _decoded(call(self._api, "GET", f"{self._collection}/{self._name}"))
        if there is None:
            raise ApiError(f"secret {self._name} makes no sense")
        return there


def _encoded(authorities: Authorities) -> dict[str, str]:
    data = {"ca.crt": authorities.newest.pem, "ca.key": authorities.newest.key_pem}
    if authorities.previous is not None:
        data["previous.crt"] = authorities.previous.pem
        data["previous.key"] = authorities.previous.key_pem
    return {name: base64.b64encode(value).decode() for name, value in data.items()}


def _decoded(secret: dict[str, Any]) -> Authorities | None:
    """None if it is no good, an empty one that Helm or a user has made among them."""
    newest = _identity(secret, "ca")
    return None if newest is None else Authorities(newest, _identity(secret, "previous"))


def _identity(secret: dict[str, Any], name: str) -> Identity | None:
    data = secret.get("data") or {}
    try:
        return load(*(base64.b64decode(data[f"{name}.{suffix}"]) for suffix in ("crt", "key")))
    except (KeyError, TypeError, ValueError):
        return None
