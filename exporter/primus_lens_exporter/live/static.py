# SPDX-License-Identifier: Apache-2.0
"""The files of the live page (`assets/`), which are read once, at the start.

Their headers forbid the page everything but its own scripts and styles and its own server:
should a pod's text ever become markup, nothing would come of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import web
from primus_lens_toolkit.health import Handler

PREFIX = "/assets/"
TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # ask each time whether it has changed, by its ETag
}


def routes() -> dict[str, Handler]:
    """A handler for each file, and the page itself at `/`."""
    files = dict(_files(resources.files(__package__) / "assets", PREFIX))
    return {"/": files[f"{PREFIX}index.html"], **files}


def _files(directory: Traversable, path: str) -> Iterator[tuple[str, Handler]]:
    for each in directory.iterdir():
        if each.is_dir():
            yield from _files(each, f"{path}{each.name}/")
        else:
            kind = TYPES.get(each.name.rpartition(".")[2], TYPES["txt"])
            yield path + each.name, _handler(each.read_bytes(), kind)


def _handler(body: bytes, kind: str) -> Handler:
    etag = hashlib.blake2b(body, digest_size=9).hexdigest()

    async def answer(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(each.value == etag for each in known):
            response = web.Response(status=304, headers=HEADERS)
        else:
            response = web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS)
        response.etag = etag
        return response

    return answer
