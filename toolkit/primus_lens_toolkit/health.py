# SPDX-License-Identifier: Apache-2.0
"""Health and readiness as probes ask for them, under both usual names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from primus_lens_toolkit import descriptors

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(is_ready: Callable[[], bool], not_yet: str) -> dict[str, Handler]:
    """Handlers by path; `not_yet` says why, with status 503, while `is_ready` does not hold.

    Nor is ready who has no file descriptor left to answer with.
    """

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="Healthy.\n")

    async def ready(_: web.Request) -> web.Response:
        if not is_ready():
            return web.Response(text=f"{not_yet}\n", status=503)
        if descriptors.exhausted():
            return web.Response(text="Out of file descriptors.\n", status=503)
        return web.Response(text="Ready.\n")

    return {"/-/healthy": healthy, "/healthz": healthy, "/-/ready": ready, "/readyz": ready}
