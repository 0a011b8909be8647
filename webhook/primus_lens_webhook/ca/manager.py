# SPDX-License-Identifier: Apache-2.0
"""Keeps this replica's certificate good, in a thread of its own, without a leader.

While the API is away the certificate is renewed all the same, since the authority is in
memory; and whatever the API does, the thread never dies and never spins.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import ssl
import threading
from collections.abc import Callable
from typing import NamedTuple

from primus_lens_toolkit.kubernetes_api import Api
from primus_lens_toolkit.warn_once import WarnOnce

from primus_lens_webhook.ca.api import ApiError
from primus_lens_webhook.ca.authority import (
    SKEW,
    Identity,
    issued,
    renewal,
    sign,
    valid,
)
from primus_lens_webhook.ca.bundle import Bundle
from primus_lens_webhook.ca.secret import Authorities, AuthoritySecret
from primus_lens_webhook.ca.tls import context
from primus_lens_webhook.settings import Settings

UNAUTHORIZED = 401
STOP_SECONDS = 2.0

log = logging.getLogger(__name__)


def utc_now() -> dt.datetime:
    """The clock of certificates."""
    return dt.datetime.now(dt.UTC)


class Pace(NamedTuple):
    """In seconds."""

    settled: float = 30.0
    """Between looks while everything is as it should be."""

    trouble: float = 2.0
    """Between looks while it is not."""

    spread: float = 120.0
    """How long a new authority is announced before anything is signed with it: each API
    server learns of a new bundle in its own time."""


class CertificateManager:
    """This replica's TLS, and whether API servers trust it."""

    def __init__(
        self,
        api: Api,
        settings: Settings,
        pace: Pace | None = None,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self.tls: ssl.SSLContext | None = None
        self.in_sync = False
        self._api = api
        self._settings = settings
        self._pace = pace or Pace()
        self._now = now
        self._secret = AuthoritySecret(
            api,
            settings.certificate_secret_namespace,
            settings.certificate_secret_name,
            settings.certificate_authority_lifetime_seconds,
        )
        self._bundle = Bundle(api, settings.certificate_webhook_configuration)
        self._authorities: Authorities | None = None
        self._leaf: Identity | None = None
        self._warn = WarnOnce(log)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificates", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether API servers can talk to this replica."""
        leaf = self._leaf
        return leaf is not None and self.in_sync and valid(leaf.certificate, self._now())

    @property
    def expiry(self) -> float:
        """When the certificate ends, in Unix seconds; NaN before there is one."""
        leaf = self._leaf
        return leaf.certificate.not_valid_after_utc.timestamp() if leaf else float("nan")

    def start(self) -> None:
        """Begin; returns at once, whether or not the API is there."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; a request that is under way ends with the process."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        self._api.close()

    def look(self) -> bool:
        """Do what is due once; returns whether all is as it should be. Never raises."""
        agreed = self._agree()
        self._renew()
        return agreed and self.in_sync

    def _agree(self) -> bool:
        """With the other replicas and the API servers; returns whether that was possible."""
        try:
            self._authorities = self._secret.agree(self._authorities, self._now())
            self._bundle.publish(self._authorities.trusted(self._now()))
        except ApiError as error:
            self._warn(
                str(error.status), "cannot share certificates; trying again", error=str(error)
            )
            if error.status == UNAUTHORIZED:
                self._api.reload()
            return False
        except Exception:  # a fault of ours must not end the thread
            log.exception("fault while keeping certificates")
            return False
        if self._warn.over():
            log.info("certificates are shared again")
        return True

    def _run(self) -> None:
        while True:
            pause = self._pace.settled if self.look() else self._pace.trouble
            pause *= random.uniform(0.75, 1.25)  # noqa: S311 - replicas need not come together
            if self._stopping.wait(pause):
                return

    def _renew(self) -> None:
        """Sign anew when due, or when the signer is another one now."""
        now = self._now()
        if self._authorities is None:
            return
        signer, leaf = self._signer(self._authorities, now), self._leaf
        due = leaf is None or now >= renewal(leaf.certificate)
        if due or not issued(signer.certificate, leaf.certificate):  # type: ignore[union-attr]
            lifetime = self._settings.certificate_lifetime_seconds
            leaf = sign(signer, self._settings.certificate_names, lifetime, now)
            self.tls = context(leaf.pem, leaf.key_pem)
            self._leaf = leaf
            until = leaf.certificate.not_valid_after_utc.isoformat()
            log.info("certificate signed", extra={"not_after": until})
        assert leaf is not None
        self.in_sync = self._bundle.trusts(leaf.certificate, now)

    def _signer(self, authorities: Authorities, now: dt.datetime) -> Identity:
        """The newest, once every API server has had the time to learn of it."""
        newest, previous = authorities
        if previous is None or not valid(previous.certificate, now):
            return newest
        since = newest.certificate.not_valid_before_utc
        announced = self._bundle.trusts(newest.certificate, now)
        spread = dt.timedelta(seconds=self._pace.spread)
        return newest if announced and now - since >= SKEW + spread else previous
