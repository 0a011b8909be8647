# SPDX-License-Identifier: Apache-2.0
"""The exporter's HTTP routes. They read what is in memory; no request starts any work."""

from __future__ import annotations

import contextlib
import html

from aiohttp import web
from primus_lens_daemon import health
from primus_lens_hook import __version__

from primus_lens_exporter.page import Page
from primus_lens_exporter.reading.follow import Follower
from primus_lens_exporter.settings import Settings

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"

LANDING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Primus Lens WandB exporter</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 1rem }}
</style>
</head>
<body>
<h1>Primus Lens WandB exporter</h1>
<p>Version {version}. Reads {paths}.</p>
<ul>
<li><a href="/metrics">Metrics</a></li>
<li><a href="/-/healthy">Health</a></li>
<li><a href="/-/ready">Readiness</a></li>
</ul>
</body>
</html>
"""


def application(page: Page, follower: Follower, settings: Settings) -> web.Application:
    """All routes: `/metrics`, health and readiness under both usual names, `/`."""
    sources = (*settings.records_path, settings.records_kubelet_root, *settings.records_shared_path)
    paths = ", ".join(html.escape(str(path)) for path in sources if path is not None)
    landing = LANDING.format(version=html.escape(__version__), paths=paths)

    async def metrics(request: web.Request) -> web.StreamResponse:
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers = {"Content-Type": TEXT_FORMAT, "Content-Encoding": "gzip"}
            return web.Response(body=page.gzipped(), headers=headers)
        return await _in_parts(request, page.plain())

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=landing, content_type="text/html")

    probes = health.routes(lambda: follower.ready, "Still reading what was there at the start.")
    routes = {"/metrics": metrics, "/": index, **probes}
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    return app


async def _in_parts(request: web.Request, parts: list[bytes]) -> web.StreamResponse:
    """A body of many megabytes, without a copy of it in one piece."""
    response = web.StreamResponse(headers={"Content-Type": TEXT_FORMAT})
    response.content_length = sum(map(len, parts))
    with contextlib.suppress(ConnectionResetError):  # the client has seen enough
        await response.prepare(request)
        for part in parts if request.method != "HEAD" else ():
            await response.write(part)
        await response.write_eof()
    return response
