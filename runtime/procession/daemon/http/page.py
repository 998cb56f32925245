"""The dashboard's own files: read from the package once, compressed once, and known to the browser by their digest."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import importlib.resources
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from procession.daemon.http.problems import plain_problem

FOLDER = "/dashboard"
_START = "index.html"
_MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_POLICIES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    # Nothing of ours turns text into markup, so the browser may refuse whoever tries.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
CONTENT_SECURITY_POLICY = "; ".join(_POLICIES)
"""No inline script or style, nothing from elsewhere."""


@attrs.frozen
class Asset:
    """One file as it is sent."""

    media: str
    whole: bytes
    zipped: bytes
    etag: str


@functools.cache
def assets() -> Mapping[str, Asset]:
    """Every file of the dashboard, by name."""
    folder = importlib.resources.files("procession.daemon") / "dashboard"
    found = {}
    for file in folder.iterdir():
        ending = file.name[file.name.rfind(".") :]
        if ending in _MEDIA:
            found[file.name] = _asset(_MEDIA[ending], file.read_bytes())
    return found


def _asset(media: str, whole: bytes) -> Asset:
    digest = base64.urlsafe_b64encode(hashlib.sha256(whole).digest())[:22].decode()
    return Asset(media, whole, gzip.compress(whole, 9, mtime=0), f'"{digest}"')


def page_routes() -> Sequence[BaseRoute]:
    """The page at `/`, and its files; they hold no data, so whoever reaches the port may have them."""
    return (
        Route("/", _start, methods=["GET"]),
        Route(f"{FOLDER}/{{name}}", _file, methods=["GET"]),
    )


async def _start(request: Request) -> Response:
    return _sent(request, assets()[_START])


async def _file(request: Request) -> Response:
    asset = assets().get(request.path_params["name"])
    if asset is None:
        return plain_problem(HTTPStatus.NOT_FOUND, f"the dashboard has no file at {request.scope['path']}", {})
    return _sent(request, asset)


def _sent(request: Request, asset: Asset) -> Response:
    headers = {
        "ETag": asset.etag,
        "Cache-Control": "no-cache",  # kept, and asked for again: an answer without a body where nothing changed
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    }
    known = request.headers.get("if-none-match", "")
    if asset.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(asset.zipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.media)
    return Response(asset.whole, headers=headers, media_type=asset.media)


def _takes_gzip(accepted: str) -> bool:
    for one in accepted.lower().split(","):
        name, _, quality = one.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
