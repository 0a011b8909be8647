# SPDX-License-Identifier: Apache-2.0
"""The exporter's HTTP routes. They only read."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web
from aiohttp.hdrs import ACCEPT_ENCODING
from primus_lens_toolkit import health
from primus_lens_toolkit.content_coding import VARY, takes_gzip
from primus_lens_toolkit.same_site import SameSite

from primus_lens_exporter.live import static
from primus_lens_exporter.live.api import Api
from primus_lens_exporter.live.histories import Histories
from primus_lens_exporter.live.history import Bounds
from primus_lens_exporter.live.overview import Overview
from primus_lens_exporter.reading.readers import Readers
from primus_lens_exporter.serving.page import Page

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def application(
    page: Page, overview: Overview, readers: Readers, bounds: Bounds, same_site: SameSite
) -> web.Application:
    """All routes: `/metrics`, health and readiness under both usual names, the live page."""

    async def metrics(request: web.Request) -> web.StreamResponse:
        if takes_gzip(request.headers.getall(ACCEPT_ENCODING, ())):
            headers = {"Content-Type": TEXT_FORMAT, "Content-Encoding": "gzip", **VARY}
            return web.Response(body=page.gzipped(), headers=headers)
        return await _in_parts(request, page.plain())

    probes = health.routes(lambda: readers.ready, "Still reading what was there at the start.")
    api = Api(overview, Histories(readers, bounds), same_site)
    routes = {"/metrics": metrics, **probes, **static.routes(), **api.routes()}
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    return app


async def _in_parts(request: web.Request, parts: list[bytes]) -> web.StreamResponse:
    """A body of many megabytes, without a copy of it in one piece."""
    response = web.StreamResponse(headers={"Content-Type": TEXT_FORMAT, **VARY})
    response.content_length = sum(map(len, parts))
    with contextlib.suppress(ConnectionResetError):  # the client has seen enough
        await response.prepare(request)
        for part in parts if request.method != "HEAD" else ():
            await response.write(part)
            # Time to notice that the client has gone: asyncio logs each further write to TLS.
            await asyncio.sleep(0)
        await response.write_eof()
    return response
