"""What went wrong with one try, sorted by what to do about it. Pure: statuses, bodies and events in, faults out.

The sorting follows the provider's error guide; servers of other makers put the same facts elsewhere in the body.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from coder.errors import ApiError, ContextExceeded, TemporaryApiError
from coder.model.messages import TOO_LONG
from coder.model.providers import Provider
from coder.model.retry import parse_retry_after
from coder.text import mask_key, redact, visible_line

Kind = Literal["final", "retry", "unreachable"]

_TOO_LONG = re.compile(
    r"(?i)context[ _](length|window)|maximum context|exceeds?[ _].{0,20}context[ _]size"
    r"|input tokens exceed|prompt is too long"
)
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "credit_balance_too_low"})
_RETRIED_STATUS = frozenset({408, 409, 425, 429})
# Codes inside a stream that say "later"; any other code inside a stream is the server's last word.
_RETRIED_CODES = frozenset(
    {"", "server_error", "internal_error", "internal_server_error", "rate_limit_exceeded", "overloaded",
     "server_overloaded", "overloaded_error", "server_is_overloaded", "slow_down", "timeout", "api_error",
     "vector_store_timeout", "service_unavailable", "resource_unavailable"}
)  # fmt: skip
_NAMES_A_FIELD = re.compile(
    r"(?i)unsupported|not support|unknown|unrecogni[sz]ed|unexpected|not permitted|extra input|invalid_value"
)


_NO_TOOLS = re.compile(
    r"(?i)not support\w* .{0,40}\btools?\b|\btools?\b .{0,40}not support|unsupported .{0,20}\btools?\b"
)


@dataclass(eq=False)
class Fault(Exception):
    """One try failed. "final": waiting will not help. "retry": the same try may work later. "unreachable": there is no
    server there. `billed` says whether the provider may have charged for it all the same. `message` is one safe line.
    """

    message: str
    kind: Kind
    code: str = ""
    param: str = ""
    status: int = 0
    retry_after: float | None = None
    billed: bool = False

    def __str__(self) -> str:
        return self.message


def from_status(status: int, headers: Mapping[str, str], body: bytes | str | Any, now: float) -> Fault:
    """The fault of an HTTP answer other than 2xx. `body` as text or parsed; `now` in seconds since the epoch."""
    error = find_error(parsed(body))
    code, message = error["code"], error["message"]
    said = f"HTTP {status}" + (f": {message}" if message else "")
    if _TOO_LONG.search(f"{code} {error['type']} {message}") or status == 413:
        return Fault(said, "final", "context_length_exceeded", error["param"], status)
    if code in _QUOTA or error["type"] in _QUOTA:
        return Fault(said, "final", "insufficient_quota", "", status)
    if status == 429 and re.search(r"(?i)request too large|larger than the .*limit", message):
        return Fault(said, "final", "request_too_large", "", status)
    if status in _RETRIED_STATUS or status >= 500:
        return Fault(said, "retry", code, error["param"], status, parse_retry_after(headers, now))
    return Fault(said, "final", code, error["param"], status)


def from_event(event: Mapping[str, Any], *, billed: bool) -> Fault:
    """The fault that an event inside a stream reports: `error` (flat or nested), `response.failed`, a chat error."""
    error = find_error(event)
    code, message = error["code"] or error["type"], error["message"] or "the server gave no reason"
    said = f"the reply failed: {message}" + (f" ({code})" if code else "")
    if _TOO_LONG.search(f"{code} {error['type']} {message}"):
        return Fault(said, "final", "context_length_exceeded", error["param"], billed=billed)
    if code in _QUOTA:
        return Fault(said, "final", "insufficient_quota", billed=billed)
    later = code in _RETRIED_CODES or code in ("408", "409", "429") or re.fullmatch("5[0-9][0-9]", code)
    return Fault(said, "retry" if later else "final", code, error["param"], billed=billed)


def find_error(body: Any) -> dict[str, str]:
    """`code`, `message`, `param` and `type` out of the shapes that servers use; each is "" where there is none."""
    if isinstance(body, list) and body:  # Gemini wraps the object in a list
        body = body[0]
    if isinstance(body, str):
        return {"code": "", "message": _line(body) if "<" not in body[:200] else "", "param": "", "type": ""}
    found = body if isinstance(body, Mapping) else {}
    for key in ("response", "error"):
        if isinstance(found.get(key), Mapping):
            found = found[key]
        elif isinstance(found.get(key), str):  # Ollama
            found = {"message": found[key]}
    message = found.get("message") or found.get("detail") or ""
    kind = str(found.get("type") or "")
    return {
        "code": _line(str(found.get("code") or ""), 80),
        "message": _line(message if isinstance(message, str) else json.dumps(message)[:600]),
        "param": _line(str(found.get("param") or ""), 80),
        "type": "" if kind in ("error", "response.failed") else _line(kind, 80),
    }


def to_error(fault: Fault, provider: Provider, model: str, tries: int) -> ApiError:
    """The fault as the error that ends a call: what happened in one line, and what to do about it."""
    message = fault.message if provider.host in fault.message else f"{provider.host}: {fault.message}"
    if fault.kind == "retry":
        asked = f"; it asks to wait {fault.retry_after:.0f} s" if fault.retry_after else ""
        after = f" (tried {tries} times)" if tries > 1 else ""
        hint = "the same call may work later; --retry-budget allows more waiting"
        return TemporaryApiError(f"{message}{asked}{after}", hint, fault.code)
    code = fault.code or (f"http_{fault.status}" if fault.status else "")
    kind = ContextExceeded if code == "context_length_exceeded" else ApiError
    return kind(message, _hint(fault, provider, model), code)


def _hint(fault: Fault, provider: Provider, model: str) -> str:
    key = f"the key {mask_key(provider.key)} from {provider.key_env}" if provider.key else "no key was sent"
    if fault.code == "insufficient_quota":
        return f"the account of {key} has no credit left: add credit, or use another key"
    if fault.code in TOO_LONG:
        return "make the context smaller (--context-budget), or exclude files"
    if 300 <= fault.status < 400:
        return "the server redirects; set base_url to where it really is (redirects could leak the key)"
    match fault.status, fault.code:
        case 401, _:
            return f"check {key}; `coder doctor` tests it"
        case 403, _:
            return f"{key} may not use {model} here: check the account's region and its access to models"
        case 404, _:
            return f"check the model's name ({model}) and base_url; models are chosen with --model"
        case _, "unreachable" | "tls" | "proxy":
            return "check the network, base_url (OPENAI_BASE_URL) and proxy settings"
        case _, "not_a_stream" | "compressed":
            return "check base_url (OPENAI_BASE_URL): it must end where the API begins, as in https://host/v1"
    return "the server refused this request for good; the log has the details"


def refused_field(fault: Fault, optional: frozenset[str]) -> str:
    """Which of the `optional` fields of the request a 400 is about, or ""."""
    if fault.status not in (400, 404, 422) or fault.code in ("context_length_exceeded", "insufficient_quota"):
        return ""
    if "encrypted_content" in optional and re.search(r"(?i)encrypted[ _]content", f"{fault.code} {fault.message}"):
        return "encrypted_content"
    if fault.param == "service_tier" and fault.param in optional:
        return fault.param  # a tier that is not for this account or model, whatever the words
    if not _NAMES_A_FIELD.search(f"{fault.message} {fault.code}"):
        return ""
    top = fault.param.split(".")[0].split("[")[0]
    named = (field for field in sorted(optional, key=len, reverse=True) if re.search(rf"\b{field}\b", fault.message))
    field = top if top in optional else next(named, "")
    if field == "tools" and not _NO_TOOLS.search(fault.message):
        return ""  # one of the tools is at fault, not that there are tools
    return field


def parsed(body: Any) -> Any:
    """A body as JSON, or as text where it is none."""
    if not isinstance(body, bytes | str):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body if isinstance(body, str) else body.decode("utf-8", "replace")


def _line(text: str, limit: int = 300) -> str:
    return visible_line(redact(text.strip()[: 4 * limit]), limit)
