"""OpenTelemetry through the whole program, against a collector over real HTTP: what is exported, and what never is."""

import gzip
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from coder.config.settings import OtelSettings
from coder.errors import UserError
from coder.headless import telemetry
from tests.fake_openai import FakeOpenAI, free_text_call, server_error, text
from tests.work import FIX, UNITTEST, coder, make_repository

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector:
    """An OTLP receiver; keeps what each path was sent."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = defaultdict(list)
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                unpacked = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                bodies[self.path].append(unpacked)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[Any]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Request

        sent = [Request.FromString(body) for body in self.bodies["/v1/traces"]]
        return [span for each in sent for of in each.resource_spans for scope in of.scope_spans for span in scope.spans]

    def metrics(self) -> dict[str, Any]:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest as Request

        sent = [Request.FromString(body) for body in self.bodies["/v1/metrics"]]
        scopes = [scope for each in sent for of in each.resource_metrics for scope in of.scope_metrics]
        return {metric.name: metric.histogram.data_points for scope in scopes for metric in scope.metrics}


@pytest.fixture
def collector() -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is not installed")
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def test_a_run_becomes_spans_and_metrics_without_its_content(tmp_path: Path, collector: Collector) -> None:
    root = make_repository(tmp_path / "repo")
    with FakeOpenAI([server_error(), free_text_call("apply_patch", FIX), text("add() now adds.")]) as server:
        env = {**server.environ(), ENDPOINT: collector.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=secret-header"}
        ended = coder(root, "run", "mend adding", "--test", UNITTEST, "--output", "json", env=env)
    assert (ended.code, "OpenTelemetry" in ended.err) == (0, False), ended.err
    (turn,) = (span for span in collector.spans() if span.name == "invoke_agent coder")
    children = [span for span in collector.spans() if span.parent_span_id == turn.span_id]
    assert sorted(span.name for span in children) == sorted(
        [*["chat gpt-5.4-mini"] * 3, "execute_tool apply_patch", "test draft", "test base"]
    )
    assert values(turn.attributes)["gen_ai.conversation.id"] == ended.result["session"]
    failed, *answered = (values(span.attributes) for span in children if span.name.startswith("chat"))
    assert (failed["error.type"], failed["gen_ai.provider.name"]) == ("500", "custom")
    used = {"input": sum(each["gen_ai.usage.input_tokens"] for each in answered)}
    used["output"] = sum(each["gen_ai.usage.output_tokens"] for each in answered)
    (usage,) = ended.result["usage"]
    assert used == {"input": usage["input_tokens"], "output": usage["output_tokens"]}
    points = collector.metrics()["gen_ai.client.token.usage"]
    assert {values(each.attributes)["gen_ai.token.type"]: each.sum for each in points} == used
    assert sum(each.count for each in collector.metrics()["gen_ai.client.operation.duration"]) == 3
    every = b"".join(body for bodies in collector.bodies.values() for body in bodies)
    for content in (b"mend adding", b"add() now", b"return a", b"calc.py", str(tmp_path).encode(), b"sk-test"):
        assert content not in every, content


def test_content_goes_out_only_when_asked_for_and_a_dead_collector_is_a_warning(
    tmp_path: Path, collector: Collector
) -> None:
    root = make_repository(tmp_path / "repo")
    with FakeOpenAI([text("In calc.py.")] * 2) as server:
        flags = ["ask", "where is sk-proj-0123456789abcdefghij0123456789?", "--set", "otel.content=true"]
        assert coder(root, *flags, env={**server.environ(), ENDPOINT: collector.url}).code == 0
        dead = coder(root, "ask", "x", env={**server.environ(), ENDPOINT: "http://127.0.0.1:9"})
    (turn,) = (values(span.attributes) for span in collector.spans() if span.name == "invoke_agent coder")
    (asked,), (said,) = (json.loads(turn[f"gen_ai.{way}.messages"]) for way in ("input", "output"))
    assert said == {"role": "assistant", "parts": [{"type": "text", "content": "In calc.py."}]}
    assert asked["parts"][0]["content"].startswith("where is ")
    assert "0123456789abcdefghij" not in asked["parts"][0]["content"]
    assert (dead.code, dead.out.splitlines()[0]) == (0, "In calc.py.")
    assert "OpenTelemetry" in dead.err
    assert "Traceback" not in dead.err


@pytest.mark.parametrize(
    ("export", "environ", "on"),
    [
        ("auto", {}, False),
        ("off", {ENDPOINT: "http://127.0.0.1:9"}, False),
        ("auto", {ENDPOINT: "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ("auto", {ENDPOINT: "x", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}, False),
        ("auto", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"}, True),
    ],
)
def test_it_is_off_unless_asked_for(export: Any, environ: dict[str, str], on: bool) -> None:
    def emit(_event: object) -> None:
        pass

    if on:
        pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    assert (telemetry.observed(emit, OtelSettings(export=export), environ) is not emit) == on
    assert telemetry.close() == []


def test_a_missing_extra_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    notices: list[Any] = []
    monkeypatch.setattr(telemetry.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UserError, match="not installed") as missing:
        telemetry.observed(notices.append, OtelSettings(export="on"), os.environ)
    assert missing.value.hint == "pip install 'coder[otel]'"
    assert telemetry.observed(notices.append, OtelSettings(), {ENDPOINT: "http://x"}) == notices.append
    assert "coder[otel]" in notices[0].text
