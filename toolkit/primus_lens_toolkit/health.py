# SPDX-License-Identifier: Apache-2.0
"""Health and readiness as probes ask for them, under both usual names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(is_ready: Callable[[], bool], not_yet: str) -> dict[str, Handler]:
    """Handlers by path; `not_yet` says why, with status 503, while `is_ready` does not hold."""

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="Healthy.\n")

    async def ready(_: web.Request) -> web.Response:
        if is_ready():
            return web.Response(text="Ready.\n")
        return web.Response(text=f"{not_yet}\n", status=503)

    return {"/-/healthy": healthy, "/healthz": healthy, "/-/ready": ready, "/readyz": ready}
