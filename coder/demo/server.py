"""A local server that plays a recording of model replies over real HTTP, as the Responses API streams them.

It knows nothing of the task: the n-th request to a model gets the n-th recorded reply. Only the demo uses it.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDING = Path(__file__).with_name("recording.json")
PIECE = 24  # characters of a streamed delta

OVER = "The recording is over: this demo has no model behind it. With a key, `coder` does the same on your repository."


@dataclass(slots=True)
class Playback:
    """Where the recording stands. `pace_s` is the pause between two streamed pieces."""

    replies: dict[str, list[list[dict[str, Any]]]]
    pace_s: float = 0.0
    prefix: dict[str, str] = field(default_factory=dict)
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, body: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The output items that answer `body`, and their usage: about four bytes a token, a repeated prefix cached."""
        sent = json.dumps([body.get("tools"), body.get("instructions"), body.get("input")])
        with self.lock:
            self.count += 1
            waiting = self.replies.get(str(body.get("model")), [])
            items = waiting.pop(0) if waiting else [_message(OVER)]
            key = str(body.get("prompt_cache_key"))
            before, self.prefix[key] = self.prefix.get(key, ""), sent
        common = next(
            (n for n, (a, b) in enumerate(zip(before, sent, strict=False)) if a != b), min(len(before), len(sent))
        )
        cached = common // 4 if common >= 4096 else 0  # the provider caches from 1,024 tokens on
        output = sum(len(json.dumps(item)) for item in items) // 4
        usage = {
            "input_tokens": len(sent) // 4,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": len(sent) // 4 + output,
        }
        return items, usage


@contextlib.contextmanager
def playing(pace_s: float = 0.0) -> Iterator[str]:
    """Serve the recording on a loopback port; yields the base URL."""
    playback = Playback(json.loads(RECORDING.read_text(encoding="utf-8"))["replies"], pace_s)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(playback))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _handler(playback: Playback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            items, usage = playback.next(body)
            with contextlib.suppress(OSError):  # the client may stop reading at any time
                for number, (kind, fields) in enumerate(_events(str(body.get("model")), items, usage)):
                    data = json.dumps({"type": kind, "sequence_number": number, **fields})
                    self.wfile.write(f"event: {kind}\ndata: {data}\n\n".encode())
                    if kind.endswith(".delta"):
                        self.wfile.flush()
                        time.sleep(playback.pace_s)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: stderr belongs to the person."""

    return Handler


def _events(model: str, items: list[dict[str, Any]], usage: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of one reply, in the order and with the fields of the Responses API."""
    response = {"id": "resp_recorded", "object": "response", "model": model, "service_tier": "default", "output": []}
    yield "response.created", {"response": {**response, "status": "in_progress"}}
    for index, item in enumerate(items):
        yield "response.output_item.added", {"output_index": index, "item": {**item, "status": "in_progress"}}
        text, kind = _streamed(item)
        for start in range(0, len(text), PIECE):
            delta = {"output_index": index, "item_id": item["id"], "delta": text[start : start + PIECE]}
            yield kind, {**delta, "content_index": 0} if kind == "response.output_text.delta" else delta
        yield "response.output_item.done", {"output_index": index, "item": {**item, "status": "completed"}}
    done = {**response, "status": "completed", "output": items, "usage": usage}
    yield "response.completed", {"response": done}


def _streamed(item: dict[str, Any]) -> tuple[str, str]:
    """The text of an item that streams, and the type of its deltas."""
    match item["type"]:
        case "message":
            return "".join(part["text"] for part in item["content"]), "response.output_text.delta"
        case "function_call":
            return item["arguments"], "response.function_call_arguments.delta"
        case _:
            return item.get("input", ""), "response.custom_tool_call_input.delta"


def _message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_over", "role": "assistant", "content": content, "phase": "final_answer"}
