# SPDX-License-Identifier: Apache-2.0
"""The routes of the live page's JSON. They only read, and bound what a request may cost.

A pod's names and values are sent as JSON alone; nothing in a request is taken for a path.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.hdrs import ACCEPT_ENCODING
from isal import igzip
from multidict import MultiMapping
from primus_lens_toolkit.content_coding import VARY, takes_gzip
from primus_lens_toolkit.health import Handler
from primus_lens_toolkit.same_site import SameSite

from primus_lens_exporter.live.downsampling import Point
from primus_lens_exporter.live.histories import Histories, NotNow
from primus_lens_exporter.live.history import Past, Wanted
from primus_lens_exporter.live.overview import Overview
from primus_lens_exporter.live.run_view import number

MAX_KEYS = 64  # named in one request
POINTS, MOST_POINTS, MOST_POINTS_OF_ALL = 600, 5_000, 100
GZIP_BYTES = 1_000  # below, it does not pay
GONE = "this run is gone, or its id is wrong"


class Api:
    """Answers `/api/v1/…`, as docs/page.md has it, but to no page of another site."""

    def __init__(self, overview: Overview, histories: Histories, same_site: SameSite) -> None:
        self._overview = overview
        self._histories = histories
        self._same_site = same_site

    def routes(self) -> dict[str, Handler]:
        """Handlers by path."""
        handlers = {
            "/api/v1/runs": self.runs,
            "/api/v1/runs/{id}/values": self.values,
            "/api/v1/history": self.history,
        }
        return {path: self._unless_refused(handler) for path, handler in handlers.items()}

    async def runs(self, request: web.Request) -> web.Response:
        """All runs, and the exporter's health."""
        return _json(request, await self._overview.body())

    async def values(self, request: web.Request) -> web.Response:
        """The newest value of every key of a run, on each rank."""
        run_id = request.match_info["id"]
        ranks = self._overview.run(run_id)
        if not ranks:
            return _error(request, 404, GONE)
        values: dict[str, dict[str, Any]] = {}
        for rank_id, series in ranks:
            for key, value in series.values():
                values.setdefault(key, {})[rank_id] = number(value)
        return _answer(request, {"id": run_id, "values": values})

    async def history(self, request: web.Request) -> web.Response:
        """What a rank's files hold of a run."""
        try:
            wanted, after = wanted_of(request.query)
        except ValueError as error:
            return _error(request, 400, str(error))
        rank_id = request.query.get("id", "")
        found = self._overview.rank(rank_id)
        if found is None:
            return _error(request, 404, GONE)
        run_id, series = found
        try:
            past = await self._histories.read(
                wanted._replace(run_id=run_id), series, after, lambda: request.transport is not None
            )
        except NotNow as error:
            return _error(request, 503, str(error))
        return _answer(request, {"id": rank_id, **_columns(past)})

    def _unless_refused(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if (why := self._same_site.refusal(request)) is not None:
                return _error(request, 403, why)
            return await handler(request)

        return answer


def wanted_of(query: MultiMapping[str]) -> tuple[Wanted, dict[str, int]]:
    """What a query asks for, and the position it gives. Raises ValueError for nonsense."""
    keys = query.getall("key", [])
    if len(keys) > MAX_KEYS:
        raise ValueError(f"at most {MAX_KEYS} keys at once, not {len(keys)}")
    most = MOST_POINTS if keys else MOST_POINTS_OF_ALL
    try:
        points = min(most, int(query.get("points", POINTS)))
        since, until = (float(query.get(name, end)) for name, end in _SPAN)
        after = dict(_position(part) for part in query.get("after", "").split(",") if part)
    except ValueError:
        points = 0
    if points < 1 or math.isnan(since) or math.isnan(until):
        raise ValueError(
            "expected points=N above zero, from= and to= in Unix seconds, after= as it was given"
        )
    return Wanted("", frozenset(keys), points, since, until), after


_SPAN = (("from", -math.inf), ("to", math.inf))


def _position(part: str) -> tuple[str, int]:
    key, _, offset = part.partition(":")
    return key, int(offset)


def _columns(past: Past) -> dict[str, Any]:
    return {
        "cursor": ",".join(f"{key}:{offset}" for key, offset in past.positions.items()),
        "reset": past.reset,
        "truncated": past.truncated,
        "keys": {key: _column(points) for key, points in past.points.items()},
    }


def _column(points: list[Point]) -> dict[str, list[Any]]:
    return {
        "time": [point.time for point in points],
        "step": [None if point.step is None else number(point.step) for point in points],
        "value": [number(point.value) for point in points],
    }


def _answer(request: web.Request, content: object) -> web.Response:
    return _json(request, msgspec.json.encode(content))


def _error(request: web.Request, status: int, text: str) -> web.Response:
    response = _json(request, msgspec.json.encode({"error": text}), status)
    if status == web.HTTPServiceUnavailable.status_code:
        response.headers["Retry-After"] = "1"
    return response


def _json(request: web.Request, body: bytes, status: int = 200) -> web.Response:
    headers = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **VARY,
    }
    if len(body) > GZIP_BYTES and takes_gzip(request.headers.getall(ACCEPT_ENCODING, ())):
        body = igzip.compress(body, 1)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, status=status, headers=headers)
