"""Bodies, queries and parts of an address: read within their bounds, and checked against the classes that they fill."""

from __future__ import annotations

import contextlib
import re
import typing
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote, unquote_to_bytes

import trio
from starlette.requests import ClientDisconnect, Request

from procession.daemon.http.bounds import faults_of
from procession.daemon.http.callers import Caller
from procession.daemon.http.problems import FieldFault, HttpRefused
from procession.http_settings import HttpSettings
from procession.primitives.codec import from_json
from procession.primitives.converters import FieldsUnfit, read_strictly

JSON = "application/json"
T = TypeVar("T")
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[{\]}]', re.DOTALL)
"""Whole texts, ended or not, and brackets outside of them; possessive, so that no body takes more than one pass."""
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


def media_of(request: Request) -> str:
    """The media type of the body, without parameters; empty where none is said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def body_of(request: Request, settings: HttpSettings) -> bytes:
    """The whole body.

    Raises:
        HttpRefused: it is too large, or came too slowly or not whole.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > settings.body_bytes_max:
        raise _too_large(f"has {int(announced):,} bytes", settings)
    pieces, size = [], 0
    try:
        with trio.fail_after(settings.body_s):
            async with contextlib.aclosing(_pieces_of(request)) as stream:
                async for piece in stream:
                    size += len(piece)
                    if size > settings.body_bytes_max:
                        raise _too_large(f"has {size:,} bytes, and goes on", settings)
                    pieces.append(piece)
    except trio.TooSlowError:
        raise HttpRefused(
            HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {settings.body_s:g} s", "send it again"
        ) from None
    except ClientDisconnect:
        raise HttpRefused(HTTPStatus.BAD_REQUEST, "the body did not come whole", "send it again") from None
    return b"".join(pieces)


def _pieces_of(request: Request) -> AsyncGenerator[bytes, None]:
    found = request.stream()
    assert isinstance(found, AsyncGenerator), "Starlette says so"
    return found


def check_depth(body: bytes, depth_max: int) -> None:
    """Refuse JSON with too many lists and objects within each other, before anything is made of it.

    Raises:
        HttpRefused: it is too deep.
    """
    if body.count(b"[") + body.count(b"{") <= depth_max:
        return
    depth = 0
    for token in _TOKENS.finditer(body):
        kind = token.group()[:1]
        depth += 1 if kind in b"[{" else -1 if kind in b"]}" else 0
        if depth > depth_max:
            raise HttpRefused(
                HTTPStatus.BAD_REQUEST,
                f"at byte {token.start()} lists and objects are more than {depth_max} deep",
                "send flatter JSON, or raise http.json_depth_max",
            )


async def filled_by_body(cls: type[T], request: Request, settings: HttpSettings, caller: Caller) -> T:
    """What the JSON of a body says, as an instance of this class; who acts is who calls, where that is known.

    Raises:
        HttpRefused: it is no JSON, or does not fit.
    """
    media = media_of(request)
    if media != JSON:
        raise HttpRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the content type is {media or 'not said'}", f"send {JSON}"
        )
    body = await body_of(request, settings)
    check_depth(body, settings.json_depth_max)
    try:
        found = from_json(body)
    except ValueError as error:
        raise HttpRefused(HTTPStatus.BAD_REQUEST, f"the body is no JSON ({error})", "send one JSON object") from None
    return _filled(cls, _signed(cls, found, caller), "the body", "$")


def _signed(cls: type, data: object, caller: Caller) -> object:
    """A body that is to say who acts, signed: who calls with a token acts in its name, whatever the body says."""
    if caller.token is None or "by" not in typing.get_type_hints(cls) or not isinstance(data, dict):
        return data
    by = data.get("by", "")
    return {**data, "by": caller.acting(by)} if isinstance(by, str) else data


def filled_by_query(cls: type[T], request: Request) -> T:
    """What the query says, as an instance of this class; a name that stands twice is a list.

    Raises:
        HttpRefused: it is no UTF-8, or does not fit.
    """
    try:
        unquote_to_bytes(request.scope["query_string"]).decode()
    except UnicodeDecodeError:
        fault = FieldFault("?", "is no UTF-8")
        raise HttpRefused(HTTPStatus.BAD_REQUEST, "the query is no UTF-8", "encode it as UTF-8", (fault,)) from None
    kinds = typing.get_type_hints(cls)
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _ in request.query_params.multi_items()):
        texts = request.query_params.getlist(name)
        wanted = kinds.get(name)
        if wanted == tuple[str, ...]:
            found[name] = texts
        elif len(texts) == 1:
            whole = wanted in (int, int | None) and _WHOLE_NUMBER.fullmatch(texts[0])
            found[name] = int(texts[0]) if whole else texts[0]
        else:
            found[name] = texts
    return _filled(cls, found, "the query", "?")


def decoded_parts(request: Request) -> Mapping[str, str]:
    """The named parts of the address.

    Raises:
        HttpRefused: one is no UTF-8.
    """
    found = {}
    for name, text in request.path_params.items():
        try:
            found[name] = unquote(str(text), errors="strict")
        except UnicodeDecodeError:
            fault = FieldFault(f"{{{name}}}", "is no UTF-8")
            raise HttpRefused(HTTPStatus.BAD_REQUEST, f"{name} is no UTF-8", "encode it as UTF-8", (fault,)) from None
    return found


def _filled(cls: type[T], data: object, where: str, root: str) -> T:
    try:
        found = read_strictly(cls, data)
    except FieldsUnfit as unfit:
        faults = tuple(
            FieldFault(path if root == "$" else root + path.removeprefix("$").removeprefix("."), found)
            for path, found in unfit.faults
        )
        raise _unfit(where, faults) from None
    outside = faults_of(cls, found, "$." if root == "$" else root)
    if outside:
        raise _unfit(where, outside)
    return found


def _unfit(where: str, faults: tuple[FieldFault, ...]) -> HttpRefused:
    said = "; ".join(f"{fault.found} @ {fault.path}" for fault in faults)
    return HttpRefused(HTTPStatus.BAD_REQUEST, f"{where} does not fit: {said}", "mend it", faults)


def _too_large(found: str, settings: HttpSettings) -> HttpRefused:
    return HttpRefused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body {found}; at most {settings.body_bytes_max:,} are taken",
        "send less at once, or raise http.body_bytes_max",
    )
