# SPDX-License-Identifier: Apache-2.0
"""The webhook's HTTP routes: one for the API server, and on another port those for people."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web
from primus_lens_toolkit import health

from primus_lens_webhook import admission, decision
from primus_lens_webhook.admission import Answer
from primus_lens_webhook.bodies import Bodies, Body, Displaced, TooLong
from primus_lens_webhook.settings import Settings
from primus_lens_webhook.telemetry import Telemetry

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"


def admission_app(settings: Settings, telemetry: Telemetry) -> web.Application:
    """`POST /mutate`. Answers with 200 whatever the body is, so that every pod is created.

    Only where the memory for bodies is full, 503: with `Retry-After`, API servers ask again
    within their timeout, and then go by the failure policy, which is to create the pod.
    """
    longest = settings.webhook_max_body_bytes
    bodies = Bodies(longest, settings.webhook_max_bodies_bytes, telemetry.displaced_bodies.inc)

    async def mutate(request: web.Request) -> web.Response:
        with bodies.one() as body:
            began = time.perf_counter()
            try:
                await bodies.read(body, request.content)
            except Displaced:
                return _busy()
            except TooLong:
                why = f"the question is longer than {longest} bytes"
                answer = admission.unread(why, decision.TOO_LARGE)
            except Exception as error:  # noqa: BLE001 - cut off, or garbled on its way
                answer = admission.unread(f"the question cannot be read: {error}")
            else:
                began = time.perf_counter()
                answer = _answer(request, body, settings)
        telemetry.count(answer, time.perf_counter() - began)
        return web.Response(body=answer.body, content_type=JSON)

    app = web.Application()
    app.add_routes([web.post("/mutate", mutate)])
    return app


def _answer(request: web.Request, body: Body, settings: Settings) -> Answer:
    if request.content_type != JSON:
        return admission.unread(f"the question is not {JSON}")
    return admission.answer(body.data, settings)


def _busy() -> web.Response:
    text = "Too many questions at once.\n"
    response = web.Response(status=503, text=text, headers={"Retry-After": "1"})
    response.force_close()  # what is left of the body is not wanted
    return response


def metrics_app(telemetry: Telemetry, is_ready: Callable[[], bool]) -> web.Application:
    """`/metrics`, and health and readiness under both usual names."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=telemetry.render(), headers={"Content-Type": TEXT_FORMAT})

    probes = health.routes(is_ready, "API servers cannot verify the certificate yet.")
    routes = {"/metrics": page, **probes}
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    return app
