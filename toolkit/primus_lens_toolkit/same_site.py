# SPDX-License-Identifier: Apache-2.0
"""Keeps the pages of other sites from reading what a server says, by way of a visitor's browser.

They can ask under the server's own name; then the browser says whose the request is
(Sec-Fetch-Site, W3C Fetch Metadata; Origin, RFC 6454). Or they let a name of theirs lead to the
server (DNS rebinding): to the browser all is one site then, and it sends neither; only the Host
differs. Clients that are no browsers need none of this, and may say "Sec-Fetch-Site: none":
no script of a page can set a header that begins with "Sec-".
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from aiohttp import hdrs, web

from primus_lens_toolkit.access import WEB_CONFIG
from primus_lens_toolkit.rejections import Rejections

# Nobody can have a name below these in the public DNS: RFC 6761, 6762 and 8375, ICANN's
# reservation of `internal`, and the services of Kubernetes.
PRIVATE = ("localhost", "local", "internal", "home.arpa", "svc")
OWN = frozenset({"same-origin", "none"})  # a script of ours, or the user by himself


class SameSite:
    """Tells requests of a server's own pages, and of no page at all, from those of others."""

    def __init__(self, names: Iterable[str], rejections: Rejections) -> None:
        """`names`: what the server is called besides this machine's name; "" is none."""
        self._names = {each.lower() for each in (*names, socket.gethostname())} - {""}
        self._rejections = rejections

    def refusal(self, request: web.Request) -> str | None:
        """Why the request must not be answered, counted; None if it may be."""
        why = self._against(request)
        if why is not None:
            self._rejections.count("cross_site")
        return why

    def _against(self, request: web.Request) -> str | None:
        host = request.headers.get(hdrs.HOST, "")
        if (site := request.headers.get("Sec-Fetch-Site")) is not None:
            return None if site in OWN else "this was asked by a page of another site"
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return "this was asked by a page of another site"
        # No browser gives its password, or trusts a certificate, under a wrong name.
        if request.secure or _has_password(request) or self._is_known(name_of(host)):
            return None
        return (
            "this host name could be anybody's: use an address or a name without dots, or give "
            "the server TLS or passwords"
        )

    def _is_known(self, name: str) -> bool:
        """Whether no other site can be meant by this name, or there is none."""
        if "." not in name or name in self._names:
            return True
        return _is_address(name) or name.endswith(tuple(f".{each}" for each in PRIVATE))


def name_of(host: str) -> str:
    """The name in a Host header: lower case, without the port and the root's dot."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    return name.strip("[]").removesuffix(".").lower()


def _has_password(request: web.Request) -> bool:
    """Whether there are passwords: then no handler is called without one."""
    web_config = request.app.get(WEB_CONFIG)
    return web_config is not None and web_config.current.passwords is not None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
