# SPDX-License-Identifier: Apache-2.0
"""The webhook's HTTP routes: one for the API server, and on another port those for people."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web
from primus_lens_toolkit import health

from primus_lens_webhook import admission, decision
from primus_lens_webhook.settings import Settings
from primus_lens_webhook.telemetry import Telemetry

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"


def admission_app(settings: Settings, telemetry: Telemetry) -> web.Application:
    """`POST /mutate`. Answers with 200 whatever the body is, so that every pod is created."""

    async def mutate(request: web.Request) -> web.Response:
        began = time.perf_counter()
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            why = f"the question is longer than {settings.webhook_max_body_bytes} bytes"
            answer = admission.unread(why, decision.TOO_LARGE)
        except Exception as error:  # noqa: BLE001 - cut off, or garbled on its way
            answer = admission.unread(f"the question cannot be read: {error}")
        else:
            began = time.perf_counter()
            if request.content_type == JSON:
                answer = admission.answer(body, settings)
            else:
                answer = admission.unread(f"the question is not {JSON}")
        telemetry.count(answer, time.perf_counter() - began)
        return web.Response(body=answer.body, content_type=JSON)

    app = web.Application(client_max_size=settings.webhook_max_body_bytes)
    app.add_routes([web.post("/mutate", mutate)])
    return app


def metrics_app(telemetry: Telemetry, is_ready: Callable[[], bool]) -> web.Application:
    """`/metrics`, and health and readiness under both usual names."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=telemetry.render(), headers={"Content-Type": TEXT_FORMAT})

    probes = health.routes(is_ready, "API servers cannot verify the certificate yet.")
    routes = {"/metrics": page, **probes}
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    return app
