"""The fake server itself: records each request, applies the rules, plays the next answer of the script."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fake_openai import events, rules
from tests.fake_openai.answers import Answer, Failure, status

Json = dict[str, Any]
Step = Answer | Failure | Callable[[Json], Answer | Failure]
Script = Iterable[Step] | Mapping[str, Iterable[Step]] | Callable[[Json], Answer | Failure]


@dataclass(frozen=True)
class Recorded:
    """One request as it came: body parsed, header names in lower case. `at` is time.monotonic()."""

    path: str
    headers: Mapping[str, str]
    body: Json
    at: float
    usage: dict[str, int] = field(default_factory=dict)


class FakeOpenAI:
    """Context manager; see the package's docstring. `strict=False` plays the script without the rules."""

    def __init__(self, script: Script, *, key: str | None = None, strict: bool = True) -> None:
        self.requests: list[Recorded] = []
        self.refusals: list[str] = []
        self.strict = strict
        self.key = key
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._script = script
        self._steps: dict[str, Iterator[Step]] = {}
        self._before: dict[tuple[str, str, str], Json] = {}
        self._emitted: dict[str, Json] = {}

    def __enter__(self) -> "FakeOpenAI":
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.fake = self
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def environ(self, key: str = "sk-test-0123456789abcdef") -> dict[str, str]:
        """The two variables that point a client here."""
        return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": self.base_url}

    def bodies(self, model: str = "") -> list[Json]:
        return [request.body for request in self.requests if not model or request.body.get("model") == model]

    def permit_rebuild(self) -> None:
        """The next request of every session may start anew."""
        with self._lock:
            self._before.clear()

    # ── for the handler ──────────────────────────────────────────────────────────────────────────

    def answer(self, path: str, headers: Mapping[str, str], body: Json) -> tuple[Answer | Failure, dict[str, int]]:
        with self._lock:
            session = (str(body.get("prompt_cache_key", "")), str(body.get("model")), _schema_name(body))
            before = self._before.get(session) if session[0] else None
            figures = {"input_tokens": _tokens(body), "cached_tokens": _cached(body, before)}
            self.requests.append(Recorded(path, headers, body, time.monotonic(), figures))
            try:
                self._check(path, headers, body, before)
            except rules.Refused as refused:
                self.refusals.append(str(refused))
                return status(400, str(refused), refused.code, param=refused.param), figures
            step = self._next(str(body.get("model")))
        answer = step(body) if callable(step) else step
        beside = body.get("tool_choice") == "none"  # a question that the conversation does not go on from
        if isinstance(answer, Answer) and path.endswith("/responses") and not beside:
            with self._lock:
                self._before[session] = body
                self._emitted.update({item["id"]: item for item in answer.items if "id" in item})
        return answer, figures

    def _check(self, path: str, headers: Mapping[str, str], body: Json, before: Json | None) -> None:
        if not self.strict:
            return
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            raise rules.Refused("Incorrect API key provided", "invalid_api_key")
        if path.endswith("/responses"):
            rules.check_responses(body)
            rules.check_prefix(body, before)
            rules.check_replay(body, self._emitted)
        else:
            rules.check_chat(body)

    def _next(self, model: str) -> Step:
        if callable(self._script):
            return self._script
        name = model if isinstance(self._script, Mapping) else ""
        if name not in self._steps:
            steps = self._script.get(name, ()) if isinstance(self._script, Mapping) else self._script
            self._steps[name] = iter(steps)
        return next(self._steps[name], None) or status(
            400, f"the script of the test has ended ({model})", "script_ended"
        )


def _schema_name(body: Json) -> str:
    return str(((body.get("text") or {}).get("format") or {}).get("name", ""))


def _prompt(body: Json) -> str:
    parts = [body.get("tools"), body.get("instructions"), body.get("input", body.get("messages"))]
    return json.dumps(parts, ensure_ascii=False)


def _tokens(body: Json) -> int:
    return len(_prompt(body).encode(errors="surrogatepass")) // 4


def _cached(body: Json, before: Json | None) -> int:
    """The whole tokens that this request has in common with the session's one before, from the start."""
    if before is None:
        return 0
    old, new = _prompt(before), _prompt(body)
    common = next((at for at, (left, right) in enumerate(zip(old, new, strict=False)) if left != right), len(old))
    return len(new[:common].encode(errors="surrogatepass")) // 4


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    fake: FakeOpenAI

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that goes away is part of many tests


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = json.loads(raw)
        except ValueError:
            return self._fail(status(400, "We could not parse the JSON body of your request."))
        if not self.path.endswith(("/responses", "/chat/completions")):
            return self._fail(status(404, f"Invalid URL (POST {self.path})"))
        if not headers.get("authorization", "").startswith(("Bearer ", "Basic ")):
            return self._fail(status(401, "You didn't provide an API key."))
        answer, figures = self.server.fake.answer(self.path, headers, body)
        if isinstance(answer, Failure):
            return self._fail(answer)
        return self._play(answer, body, figures)

    def _fail(self, failure: Failure) -> None:
        self.send_response(failure.code)
        for name, value in failure.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(failure.body) * failure.repeat))
        self.end_headers()
        for _ in range(failure.repeat):
            self.wfile.write(failure.body)

    def _play(self, answer: Answer, body: Json, figures: dict[str, int]) -> None:
        fake = self.server.fake
        fake.closing.wait(answer.delay)
        usage = None if answer.usage == {} else {**figures, **_output_figures(answer), **(answer.usage or {})}
        chat = self.path.endswith("/chat/completions")
        if not body.get("stream"):
            build = events.chat_object if chat else events.response_object
            whole = build(answer, body, usage) if chat else build(answer, body, usage, answer.ending)
            return self._fail(Failure(200, json.dumps(whole).encode()))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("x-request-id", f"req_{len(fake.requests):04d}")
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self._stream(answer, list((events.chat_events if chat else events.responses_events)(answer, body, usage)))
        return None

    def _stream(self, answer: Answer, stream: list[Any]) -> None:
        for position, payload in reversed(answer.injected):
            stream.insert(position, payload)
        ready = b""
        for number, event in enumerate([*stream, None]):
            if number in (answer.cut_at, answer.stall_at) or len(ready) > 16_384:
                self._write(ready, answer)
                ready = b""
            if answer.cut_at == number:
                return self._cut(answer)
            if answer.stall_at == number:
                self.server.fake.closing.wait(answer.stall_seconds)
            if event is not None:
                ready += _wire(event, broken=answer.malformed_at == number)
        self._write(ready, answer)
        return None

    def _write(self, raw: bytes, answer: Answer) -> None:
        for start in range(0, len(raw), answer.piece or len(raw) or 1):
            self.wfile.write(raw[start : start + (answer.piece or len(raw))])
            if answer.drip_seconds and self.server.fake.closing.wait(answer.drip_seconds):
                return

    def _cut(self, answer: Answer) -> None:
        if answer.abrupt:  # RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


def _output_figures(answer: Answer) -> dict[str, int]:
    size = len(json.dumps(answer.items)) // 4
    return {"output_tokens": size, "reasoning_tokens": 64 if any(i["type"] == "reasoning" for i in answer.items) else 0}


def _wire(event: Any, broken: bool) -> bytes:
    if isinstance(event, str) and event != "[DONE]":
        return event.encode()
    content = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
    head = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
    return f"{head}data: {content[: len(content) // 2] if broken else content}\n\n".encode(errors="surrogatepass")
