"""The one place that speaks HTTP to a model, through the SDK's client: sends a body, feeds the stream to an assembly.

Imported only when a request is about to be made (the SDK takes a second to import). Retries are not its business:
every way a try can fail leaves here as a Fault.
"""

import asyncio
import contextlib
import contextvars
import functools
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Protocol, cast

import httpx2
import openai

from coder import __version__
from coder.model import faults
from coder.model.faults import Fault
from coder.model.providers import KEYLESS, Provider
from coder.model.retry import Timeouts
from coder.model.sse import BadStream, Decoder, TooLarge
from coder.text import redact, visible_line

MAX_ERROR_BYTES = 64 * 1024
DRAIN_S = 0.1  # after the last event, for the end of the body: only then the connection can be used again
USAGE_S = 5.0  # after a whole reply, for figures that some servers never send
_CONNECT_PHASES = 1.3  # TCP has its own limit; name, proxy and TLS together may take a little more
_on_sending: contextvars.ContextVar[Callable[[], None]] = contextvars.ContextVar("on_sending")
_HEADERS = {"Content-Type": "application/json", "Accept": "text/event-stream"}


@functools.cache
def tls() -> ssl.SSLContext:
    """The machine's own trust store (SSL_CERT_FILE and SSL_CERT_DIR count), read once: it takes a while."""
    return httpx2.create_ssl_context()


class Assembling(Protocol):
    """What both dialects' assemblies offer."""

    finished: bool
    thinking: bool
    started: bool
    sent: bool  # whether the request has gone out, so that the provider may charge for it

    @property
    def complete(self) -> bool:
        """Whether the reply is whole even if nothing more comes."""

    def take(self, event: Mapping[str, Any], /) -> None: ...


class Wire:
    """One SDK client for one server."""

    def __init__(self, provider: Provider, timeouts: Timeouts, environ: Mapping[str, str]) -> None:
        self._host = provider.host
        self._key = provider.key
        self._timeouts = timeouts
        http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeouts.first, connect=timeouts.connect, read=None),
            follow_redirects=False,  # a redirect could carry the key to another host
            verify=tls(),
            trust_env=not provider.local,  # a proxy is no way to one's own machine
            event_hooks={"request": [_prepare], "response": [_bound_error]},
        )
        own = provider.name == "openai"
        headers: Any = {
            "User-Agent": f"coder/{__version__}",
            "Accept-Encoding": "identity",  # nothing to unpack, so nothing that unpacks without end
            "OpenAI-Organization": (own and environ.get("OPENAI_ORG_ID")) or openai.Omit(),
            "OpenAI-Project": (own and environ.get("OPENAI_PROJECT_ID")) or openai.Omit(),
        }
        self._client = openai.AsyncOpenAI(
            api_key=provider.key or KEYLESS,
            base_url=provider.base_url,
            max_retries=0,
            http_client=http,
            default_headers=headers,
        )

    async def send(
        self, path: str, body: Mapping[str, Any], assembly: Assembling, *, patience: float = 1.0
    ) -> Mapping[str, str]:
        """Post `body` and feed every event to `assembly`; `patience` multiplies the wait for the first event.

        Returns the headers of the answer. Raises Fault; lets cancellation through.
        """
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        loop = asyncio.get_running_loop()
        started, headers = loop.time(), {}
        end = started + self._timeouts.total
        try:
            async with asyncio.timeout_at(started + self._timeouts.connect * _CONNECT_PHASES) as clock:

                def sending() -> None:
                    assembly.sent = True
                    clock.reschedule(min(loop.time() + self._timeouts.first * patience, end))

                _on_sending.set(sending)
                response = await self._post(path, content)
                headers = dict(response.headers)
                try:
                    await self._read(response, assembly, clock, end)
                finally:
                    await response.aclose()
        except TimeoutError:
            fault = self._stalled(assembly, loop.time() - started)
        except TooLarge as error:
            fault = Fault(f"{self._host} sent more than a reply can be: {error}", "final", "too_large", billed=True)
        except BadStream as error:
            fault = Fault(f"{self._host} sent no proper reply: {error}", "retry", "malformed", billed=True)
        except httpx2.HTTPError as error:
            fault = Fault(f"{self._host} broke the reply off ({type(error).__name__})", "retry", "cut", billed=True)
        else:
            if assembly.complete:
                return headers
            fault = Fault(f"{self._host} ended the reply early, without its last event", "retry", "cut", billed=True)
        if not assembly.complete:
            raise fault
        return headers

    async def _post(self, path: str, content: bytes) -> httpx2.Response:
        try:
            # cast_to a plain response: the SDK keeps address, key and errors, the stream is read here
            response: Any = await self._client.post(
                path, cast_to=httpx2.Response, content=content, options={"headers": _HEADERS}, stream=True,
                stream_cls=openai.AsyncStream[Any],
            )  # fmt: skip
            return cast(httpx2.Response, response)
        except openai.APIStatusError as error:
            text = redact(error.response.text, (self._key,))  # some servers repeat what they were sent
            raise faults.from_status(error.status_code, error.response.headers, text, time.time()) from None
        except openai.APIConnectionError as error:
            raise _no_connection(error.__cause__ or error, self._host) from None

    async def _read(self, response: httpx2.Response, assembly: Assembling, clock: asyncio.Timeout, end: float) -> None:
        """Feed the stream; returns at the terminal event or at the end of the bytes."""
        await _check_kind(response, self._host)
        loop, decoder = asyncio.get_running_loop(), Decoder()
        async with contextlib.aclosing(response.aiter_bytes()) as pieces:
            async for piece in pieces:
                events = decoder.feed(piece) if not assembly.finished else []
                for event in events:
                    assembly.take(event)
                    if assembly.finished:
                        break
                if events:
                    clock.reschedule(min(loop.time() + self._pause(assembly), end))
        for event in decoder.finish():
            assembly.take(event)

    def _pause(self, assembly: Assembling) -> float:
        """Seconds that may pass until the next event."""
        if assembly.finished:
            return DRAIN_S
        if assembly.complete:
            return min(USAGE_S, self._timeouts.between)
        return self._timeouts.thinking if assembly.thinking else self._timeouts.between

    def _stalled(self, assembly: Assembling, seconds: float) -> Fault:
        if not assembly.sent:
            return Fault(f"cannot reach {self._host}: no connection in {seconds:.0f} s", "final", "unreachable")
        what = "stopped in the middle of its reply" if assembly.started else "did not begin to answer"
        return Fault(f"{self._host} {what} ({seconds:.0f} s in all)", "retry", "stalled", billed=True)

    async def aclose(self) -> None:
        await self._client.close()


class _Bounded(httpx2.AsyncByteStream):
    """The first bytes of a body; the rest is left where it is."""

    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        async for piece in self._stream:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _prepare(request: httpx2.Request) -> None:
    """Leave out what the SDK tells every server about this machine, and watch for the moment of sending."""
    for name in [name for name in request.headers if name.lower().startswith("x-stainless")]:
        del request.headers[name]
    request.extensions = {**request.extensions, "trace": _watch}


async def _watch(event: str, info: Mapping[str, Any]) -> None:
    """Until the request itself goes out, all is connecting: names, proxies and TLS, where silence is never thought."""
    if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
        _on_sending.get()()


async def _bound_error(response: httpx2.Response) -> None:
    """The SDK reads the body of an error whole and unpacks it: neither without bound."""
    if response.status_code >= 300 and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream, MAX_ERROR_BYTES)
        response.headers.pop("content-encoding", None)


async def _check_kind(response: httpx2.Response, host: str) -> None:
    """Raises Fault for an answer that is no stream of events: a web page, one JSON object, a packed body."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.headers.get("content-encoding", "identity") not in ("", "identity"):
        raise Fault(f"{host} sends compressed answers though none were asked for", "final", "compressed", billed=True)
    if kind == "application/json":
        body = b"".join([piece async for piece in _Bounded(response.stream, MAX_ERROR_BYTES)])  # type: ignore[arg-type]
        if isinstance(answer := faults.parsed(body), dict) and answer.get("error"):
            raise faults.from_event(answer, billed=False)
    if kind in ("text/html", "application/json", "application/xhtml+xml"):
        raise Fault(f"{host} answered with {kind} instead of a stream of events", "final", "not_a_stream", billed=True)


def _no_connection(error: BaseException, host: str) -> Fault:
    """Why no answer came, without addresses that may hold credentials."""
    causes = list(_chain(error))
    if isinstance(error, httpx2.ConnectTimeout):
        return Fault(f"cannot reach {host}: no connection in time", "final", "unreachable")
    if isinstance(error, httpx2.ProxyError):
        return Fault(f"cannot reach {host}: the proxy refused ({_line(error)})", "final", "proxy")
    if tls := next((each for each in causes if isinstance(each, ssl.SSLError)), None):
        return Fault(
            f"cannot reach {host}: TLS failed ({tls.reason or 'no reason given'}; {_line(tls)})", "final", "tls"
        )
    if isinstance(error, httpx2.ConnectError):
        return Fault(f"cannot reach {host}: {_reason(causes) or _line(error)}", "unreachable", "unreachable")
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return Fault(f"cannot reach {host}: {_line(error)}", "final", "unreachable")
    return Fault(f"{host} dropped the connection ({type(error).__name__})", "retry", "dropped", billed=True)


def _reason(causes: list[BaseException]) -> str:
    """The system's own words: "Connection refused", "Name or service not known"."""
    for each in causes:
        if isinstance(each, OSError) and each.errno:
            return os.strerror(each.errno) if each.errno > 0 else str(each.strerror)
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None  # several addresses were tried
        error = inner or error.__cause__ or error.__context__


def _line(error: BaseException) -> str:
    return visible_line(redact(str(error)), 160)
