"""Commands as HTTP requests, responses as events; over httpx, which the extra `http-client` installs."""

from __future__ import annotations

import http
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform

import attrs

from procession.engine.clock import Clock, SystemClock
from procession.errors import ProcessionError, Refused
from procession.gateways.reading import Readable
from procession.gateways.retry_after import retry_after_s
from procession.gateways.secrecy import hush, quiet_client, secrets_in, shown_url
from procession.primitives.codec import to_json
from procession.primitives.command import Command
from procession.primitives.converters import plain_values
from procession.primitives.gateway import Attempt, AttemptFailed, Gateway, RetryLater
from procession.primitives.telling import masked

try:
    import httpx
except ModuleNotFoundError as missing:  # pragma: no cover - the tests install it
    message = "HttpGateway needs the extra `http-client`: pip install 'procession[http-client]'"
    raise ModuleNotFoundError(message) from missing

T = TypeVar("T")
_REPLY_CHARS_MAX = 160
"""How much of an unwelcome response errors show, and how much of it is read for that."""
_REPLY_BYTES_MAX = 65_536
_SUCCESS = range(200, 300)
_REFUSALS_END = 500
_ALWAYS_REFUSED = frozenset({http.HTTPStatus.NOT_IMPLEMENTED, http.HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})


def _positive(_: object, field: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value <= field.metadata["max"]:
        msg = f"{field.name} is {value}; give more than 0, at most {field.metadata['max']:g}"
        raise ValueError(msg)


def _bounded(default: float, most: float) -> Any:  # noqa: ANN401 - attrs.field has no better type
    return attrs.field(default=default, validator=_positive, metadata={"max": most})


class _Body(httpx.AsyncByteStream):
    """The body of a request, whole, as often as it is asked for.

    httpx's own is an asynchronous generator. A request that fails in the midst of its body leaves that to the garbage
    collection, of which trio warns.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces([self._content])


class _Pieces:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


@attrs.frozen(kw_only=True)
class HttpPolicy:
    """How one gateway speaks HTTP. The time for a whole attempt is the gateway's own `timeout_s`."""

    connect_timeout_s: float = _bounded(5, 3_600)
    """Until there is a connection, with TLS where the address says so."""
    read_timeout_s: float = _bounded(10, 3_600)
    """The longest silence of the server; as long may each piece of the request take to be sent."""
    pool_timeout_s: float = _bounded(10, 3_600)
    """The longest wait for a free connection of the client."""
    response_bytes_max: int = _bounded(1_048_576, 1_073_741_824)
    """A longer response is no answer."""
    retried: frozenset[int] = frozenset({408, 425, 429, 500, 502, 503, 504})
    """Statuses after which the same request may succeed. Other 3xx and 4xx, and 501 and 505, refuse the command."""
    follow_redirects: bool = False
    """By default a redirect refuses the command: what the server names is not what was asked for."""
    idempotency_header: str = "Idempotency-Key"


@attrs.frozen
class HttpResponse(Readable):
    """A response that answers: its status is 2xx, or one that the caller asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    _of: str
    """The request, as errors show it."""

    def _written(self) -> tuple[bytes, str]:
        return self.body, f"{self._of} answered {self.status}"


@dataclass_transform(field_specifiers=(attrs.field,))
class HttpGateway(Gateway, abstract=True):
    """A gateway whose work is an HTTP request. A method for each command sends it, and makes the response an event.

        class Payments(HttpGateway, name="payments", timeout_s=20, http=HttpPolicy(read_timeout_s=5)):
            async def charge(self, command: ChargeCard, attempt: Attempt) -> PaymentCaptured | PaymentDeclined:
                answer = await self.request(attempt, "POST", "/charges", json=command, answers=(402,))
                return PaymentDeclined(command.order_id) if answer.status == 402 else answer.read(PaymentCaptured)

        Payments(httpx.AsyncClient(base_url="https://pay.example", auth=…))

    The client comes in by the constructor; whoever opens it closes it. It checks certificates unless told otherwise.
    Every attempt carries the command's id as its idempotency key, and its trace.

    Args:
        http: how it speaks.
        options: as of any gateway.
    """

    client: httpx.AsyncClient
    __http__: ClassVar[HttpPolicy] = HttpPolicy()
    __clock__: ClassVar[Clock] = SystemClock()

    def __init_subclass__(cls, *, http: HttpPolicy | None = None, **options: Any) -> None:  # noqa: ANN401 - Gateway's
        super().__init_subclass__(**options)
        hush()
        if http is not None:
            cls.__http__ = http

    async def request(
        self,
        attempt: Attempt,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        answers: tuple[int, ...] = (),
        step: str = "",
    ) -> HttpResponse:
        """Send one request, and return the response if it answers.

        Args:
            attempt: the attempt that this is part of: its id is the idempotency key, its trace is passed on.
            method: `POST` and the like.
            path: below the client's `base_url`, or a whole address.
            json: the body: a command, or plain data.
            content: the body, where it is no JSON.
            params: the query. Its values are never shown, and may be secret.
            headers: further ones.
            answers: statuses beside 2xx that answer too.
            step: tells several requests of one command apart, each with a key of its own; the same at every attempt.

        Raises:
            Refused: the server said no for good; the command is given up.
            RetryLater, AttemptFailed: no answer, or none that can be used; the engine tries again.

        Cancellation: the connection is closed; whether the server did the work is not known.
        """
        policy = self.__http__
        sent = self._built(attempt, method, path, json, content, params, headers, step)
        shown = f"{method} {shown_url(str(sent.url))}"
        with quiet_client():
            try:
                response = await self.client.send(sent, stream=True, follow_redirects=policy.follow_redirects)
                try:
                    welcome = response.status_code in _SUCCESS or response.status_code in answers
                    body = await self._body(response, shown, whole=welcome)
                finally:
                    await response.aclose()
            except httpx.HTTPError as error:
                raise AttemptFailed(f"{shown}: {self._described(error, sent)}") from None
        if welcome:
            return HttpResponse(response.status_code, dict(response.headers), body, shown)
        raise self._unwelcome(response, body, sent, shown)

    def _built(
        self,
        attempt: Attempt,
        method: str,
        path: str,
        json: object,
        content: bytes | None,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
        step: str,
    ) -> httpx.Request:
        policy = self.__http__
        told = httpx.Headers({"accept-encoding": "identity"})
        if attempt.trace:
            told["traceparent"] = attempt.trace
        if json is not None:
            content = to_json(plain_values()(json, type(json)) if isinstance(json, Command) else json)
            told["content-type"] = "application/json"
        told.update(headers)
        told[policy.idempotency_header] = f"{attempt.command_id}-{step}" if step else attempt.command_id
        connect_s, read_s = policy.connect_timeout_s, policy.read_timeout_s
        try:
            request = self.client.build_request(
                method,
                path,
                content=content,
                params=params,
                headers=told,
                timeout=httpx.Timeout(connect=connect_s, read=read_s, write=read_s, pool=policy.pool_timeout_s),
            )
        except httpx.InvalidURL:
            raise AttemptFailed(f"{method} can't be sent: what it was given is no address") from None
        request.stream = _Body(request.content)
        return request

    async def _body(self, response: httpx.Response, shown: str, *, whole: bool) -> bytes:
        """The body of an answer, whole; of any other response its beginning, as far as it comes."""
        size_max = self.__http__.response_bytes_max if whole else _REPLY_BYTES_MAX
        body = bytearray()
        try:
            async for piece in response.aiter_bytes():
                if len(body) <= size_max:
                    body += piece
                if len(body) > size_max:
                    # And on to the end, which the closed connection brings about: httpx nests its generators, and one
                    # that is left before its end is a warning on trio.
                    await response.aclose()
        except httpx.HTTPError:
            if whole and len(body) <= size_max:
                raise
        if whole and len(body) > size_max:
            bound = f"more than {size_max} bytes (response_bytes_max)"
            raise AttemptFailed(f"{shown} answered {response.status_code} with {bound}")
        return bytes(body[:size_max])

    def _unwelcome(self, response: httpx.Response, body: bytes, sent: httpx.Request, shown: str) -> ProcessionError:
        policy, status = self.__http__, response.status_code
        reply = masked(" ".join(body.decode("utf-8", "replace").split()), self._secrets(sent))[:_REPLY_CHARS_MAX]
        found = f"{shown} answered {status} {_phrase(status)}".rstrip() + (f": {reply}" if reply else "")
        wait_s = retry_after_s(response.headers, self.__clock__.now_us())
        if status not in policy.retried and (status < _REFUSALS_END or status in _ALWAYS_REFUSED):
            return Refused(found)
        if wait_s is not None:
            return RetryLater(f"{found}; it wants to be asked again in {wait_s:g} s", after_s=wait_s)
        return AttemptFailed(found)

    def _described(self, error: httpx.HTTPError, sent: httpx.Request) -> str:
        if isinstance(error, httpx.LocalProtocolError):
            return "the request can't be sent as HTTP; look at its headers"  # the error itself shows their values
        if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
            return f"{type(error).__name__}, nothing was sent"
        if isinstance(error, httpx.TimeoutException):
            return f"{type(error).__name__}, whether it was done is not known"
        text = masked(" ".join(_said(error).split()), self._secrets(sent))
        return f"{type(error).__name__}: {text}" if text else type(error).__name__

    def _secrets(self, sent: httpx.Request) -> tuple[str, ...]:
        values = [value for _, value in sent.url.params.multi_items()]
        return secrets_in(
            sent.headers.multi_items(), [*values, sent.url.password], public=self.__http__.idempotency_header
        )


def _said(error: BaseException) -> str:
    """What an error says; where it says nothing, as one of TLS on trio, what the error beneath it says."""
    beneath: BaseException | None = error
    while beneath is not None and not str(beneath):
        beneath = beneath.__cause__ or beneath.__context__
    return "" if beneath is None else str(beneath)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
