"""What the fake server can answer, as values: replies made of items, and failures of HTTP."""

import gzip
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

_numbers = itertools.count(1)


def _new(prefix: str) -> str:
    return f"{prefix}_{next(_numbers):08d}"


@dataclass(frozen=True)
class Answer:
    """One reply of the model (HTTP 200), and how its stream is bent. Positions count events from 0."""

    items: tuple[dict[str, Any], ...] = ()
    usage: Mapping[str, int] | None = None  # figures that replace the computed ones
    service_tier: str = "default"
    ending: str = "completed"  # completed | incomplete | failed | error | none
    reason: str = ""  # of incomplete, or the code of failed and error
    message: str = ""
    nested: bool = True  # the live form of an error event; False: the flat, documented one
    cut_at: int | None = None
    abrupt: bool = False
    stall_at: int | None = None
    stall_seconds: float = 30.0
    malformed_at: int | None = None
    injected: tuple[tuple[int, Any], ...] = ()
    delay: float = 0.0
    drip_seconds: float = 0.0
    piece: int = 0
    delta_size: int = 24
    headers: tuple[tuple[str, str], ...] = ()
    quirks: frozenset[str] = frozenset()

    def __add__(self, other: "Answer") -> "Answer":
        return replace(self, items=self.items + other.items)

    def using(self, **figures: int) -> "Answer":
        """Usage as given: input_tokens, cached_tokens, output_tokens, reasoning_tokens."""
        return replace(self, usage={**(self.usage or {}), **figures})

    def without_usage(self) -> "Answer":
        return replace(self, usage={})

    def tier(self, name: str) -> "Answer":
        """The service tier that the answer says was used."""
        return replace(self, service_tier=name)

    def cut(self, events: int, abrupt: bool = False) -> "Answer":
        """End the stream after `events` events: cleanly (EOF), or with a reset connection."""
        return replace(self, cut_at=events, abrupt=abrupt)

    def stall(self, events: int, seconds: float = 30.0) -> "Answer":
        """Say nothing for `seconds` after `events` events; 0 stalls before the first."""
        return replace(self, stall_at=events, stall_seconds=seconds)

    def late(self, seconds: float) -> "Answer":
        """Wait before even the HTTP headers."""
        return replace(self, delay=seconds)

    def drip(self, seconds: float) -> "Answer":
        """One byte at a time, `seconds` apart."""
        return replace(self, drip_seconds=seconds, piece=1)

    def chopped(self, size: int) -> "Answer":
        """Pieces of `size` bytes, each written by itself."""
        return replace(self, piece=size)

    def malformed(self, event: int) -> "Answer":
        """Break the JSON of the event at this position."""
        return replace(self, malformed_at=event)

    def inject(self, event: int, payload: Any) -> "Answer":
        """Put another event before position `event`: a dict, or raw text for the wire."""
        return replace(self, injected=(*self.injected, (event, payload)))

    def in_deltas_of(self, size: int) -> "Answer":
        return replace(self, delta_size=size)

    def incomplete(self, reason: str = "max_output_tokens") -> "Answer":
        return replace(self, ending="incomplete", reason=reason)

    def failed(self, code: str = "server_error", message: str = "The server had an error") -> "Answer":
        return replace(self, ending="failed", reason=code, message=message)

    def error(
        self, code: str = "server_error", message: str = "The server had an error", nested: bool = True
    ) -> "Answer":
        return replace(self, ending="error", reason=code, message=message, nested=nested)

    def unfinished(self) -> "Answer":
        """No terminal event at all, though the stream ends in order."""
        return replace(self, ending="none")

    def with_quirks(self, *names: str) -> "Answer":
        """Departures of Chat servers: no_ids, no_index, zero_index, whole_calls, usage_everywhere, no_usage,
        reasoning_content, reasoning, role_everywhere, no_done."""
        return replace(self, quirks=self.quirks | frozenset(names))

    def with_headers(self, **headers: str) -> "Answer":
        return replace(self, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()))


@dataclass(frozen=True)
class Failure:
    """An HTTP answer that is no stream of events."""

    code: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    repeat: int = 1  # the body is sent this many times, so that a large one costs no memory here


# ── replies ──────────────────────────────────────────────────────────────────────────────────────


def text(content: str, phase: str = "") -> Answer:
    """A message of the assistant."""
    part = {"type": "output_text", "text": content, "annotations": [], "logprobs": []}
    message = {"id": _new("msg"), "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return Answer(({**message, "phase": phase} if phase else message,))


def structured(value: Any) -> Answer:
    """A message that is the JSON of `value`."""
    return text(json.dumps(value, ensure_ascii=False))


def refusal(content: str) -> Answer:
    message = {"id": _new("msg"), "type": "message", "role": "assistant", "status": "completed"}
    return Answer(({**message, "content": [{"type": "refusal", "refusal": content}]},))


def reasoning(summary: str = "", encrypted: str = "") -> Answer:
    """Hidden reasoning; `summary` is streamed where there is one."""
    parts = [{"type": "summary_text", "text": summary}] if summary else []
    sealed = encrypted or f"gAAAA{_new('sealed')}=="
    return Answer(({"id": _new("rs"), "type": "reasoning", "summary": parts, "encrypted_content": sealed},))


def tool_call(name: str, arguments: Any, call_id: str = "") -> Answer:
    """A call of a function tool; `arguments` is JSON text as it is, or a value."""
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"id": _new("fc"), "type": "function_call", "status": "completed", "call_id": call_id or _new("call")}
    return Answer(({**call, "name": name, "arguments": raw},))


def free_text_call(name: str, content: str, call_id: str = "") -> Answer:
    """A call of a free-text (custom) tool."""
    call = {"id": _new("ctc"), "type": "custom_tool_call", "status": "completed", "call_id": call_id or _new("call")}
    return Answer(({**call, "name": name, "input": content},))


def item(value: dict[str, Any]) -> Answer:
    """Any other output item, as it is."""
    return Answer((value,))


def forever(answer: Any) -> Iterator[Any]:
    return itertools.repeat(answer)


# ── failures ─────────────────────────────────────────────────────────────────────────────────────


def status(code: int, message: str = "no", error_code: str | None = None, kind: str = "invalid_request_error",
           param: str | None = None, **headers: str) -> Failure:  # fmt: skip
    """An error of the provider's form with any HTTP status; keyword arguments are headers (`retry_after="1"`)."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": error_code}}
    extra = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Failure(code, json.dumps(body).encode(), (("Content-Type", "application/json"), *extra))


def unauthorized(key: str = "sk-wrong") -> Failure:
    return status(401, f"Incorrect API key provided: {key}.", "invalid_api_key")


def forbidden() -> Failure:
    return status(403, "Country, region, or territory not supported", "unsupported_country_region_territory")


def not_found(model: str = "gpt-none") -> Failure:
    return status(404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found")


def rate_limited(retry_after: str | None = None, message: str = "Rate limit reached for requests") -> Failure:
    headers = {} if retry_after is None else {"retry_after": retry_after}
    return status(429, message, "rate_limit_exceeded", "requests", **headers)


def quota() -> Failure:
    return status(
        429, "You exceeded your current quota, please check your plan.", "insufficient_quota", "insufficient_quota"
    )


def too_large() -> Failure:
    """One request above the account's tokens a minute: waiting never helps."""
    message = "Request too large for gpt-5.4-mini on tokens per min (TPM): Limit 200000, Requested 250000."
    return status(429, message, "rate_limit_exceeded", "tokens")


def too_long(tokens: int = 300_000) -> Failure:
    message = f"Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in {tokens} tokens."
    return status(400, message, "context_length_exceeded", param="input")


def unsupported(field: str) -> Failure:
    message = f"Unsupported parameter: '{field}' is not supported with this model."
    return status(400, message, "unsupported_parameter", param=field)


def server_error(code: int = 500) -> Failure:
    return status(code, "The server had an error while processing your request.", "server_error", "server_error")


def html(code: int = 502) -> Failure:
    page = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>nginx</body></html>"
    return Failure(code, page, (("Content-Type", "text/html; charset=utf-8"),))


def empty(code: int = 200) -> Failure:
    return Failure(code, b"", (("Content-Type", "text/event-stream"),))


def redirect(location: str) -> Failure:
    return Failure(307, b"", (("Location", location), ("Content-Type", "text/plain")))


def gzip_bomb(code: int = 200, megabytes: int = 64) -> Failure:
    """A few kilobytes that would unpack to `megabytes` of one endless line."""
    packed = gzip.compress(b"data: " + b"A" * (megabytes * 1024 * 1024))
    kind = "text/event-stream" if code == 200 else "application/json"
    return Failure(code, packed, (("Content-Type", kind), ("Content-Encoding", "gzip")))


def huge_json(code: int = 200, megabytes: int = 50) -> Failure:
    """One JSON string without an end in sight."""
    return Failure(code, b"[" * 4096 + b'"' * 4096 * 255, (("Content-Type", "application/json"),), repeat=megabytes)
