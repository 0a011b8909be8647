# SPDX-License-Identifier: Apache-2.0
"""Basic authentication against bcrypt hashes.

bcrypt is slow on purpose, tens of milliseconds a password: it never runs on the event loop,
one password at a time, and an answer must not tell by its time whether a user exists. Good
credentials are remembered as keyed digests, so that a scraper waits once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping

import bcrypt

MAX_WAITING = 16  # about a second of bcrypt at the usual cost of 10
MAX_REMEMBERED = 256  # one user has many spellings of one header
BCRYPT_BYTES = 72  # bcrypt ignores the rest; the package wants it cut off before


class Busy(Exception):
    """Too many passwords are waiting to be checked."""


class Passwords:
    """Who may come in: user names and their bcrypt hashes, at least one."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = {user: hashed.encode() for user, hashed in users.items()}
        self._unknown = next(iter(self._users.values()))  # costs an unknown user as much
        self._key = secrets.token_bytes(32)
        self._remembered: set[bytes] = set()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def admit(self, header: str) -> bool:
        """Whether this Authorization header names a user with his password. Raises Busy."""
        digest = hashlib.blake2b(header.encode("utf-8", "replace"), key=self._key).digest()
        if digest in self._remembered:
            return True
        credentials = _decode(header)
        if credentials is None:
            return False
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                good = await asyncio.to_thread(self._check, *credentials)
        finally:
            self._waiting -= 1
        if good:
            self._remember(digest)
        return good

    def _check(self, user: str, password: bytes) -> bool:
        hashed = self._users.get(user)
        matches = bcrypt.checkpw(password[:BCRYPT_BYTES], hashed or self._unknown)
        return matches and hashed is not None

    def _remember(self, digest: bytes) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered.add(digest)


def _decode(header: str) -> tuple[str, bytes] | None:
    """User and password of `Basic …` (RFC 7617, as UTF-8); None for anything else."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except ValueError:
        return None
