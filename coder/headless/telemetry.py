"""OpenTelemetry beside the log: spans and metrics of a session by the GenAI semantic conventions (the extra `otel`).

Off unless settings or environment ask for it, and its library is not imported then. What was asked, answered, read or
changed is never exported unless `otel.content` says so. Names: semantic-conventions-genai, docs/gen-ai (2026).
"""

import contextlib
import importlib.util
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from coder import __version__, events
from coder.errors import UserError
from coder.events import Emit, Notice
from coder.text import redact, visible_line

if TYPE_CHECKING:
    from coder.config.settings import OtelSettings

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PATIENCE_S = 3.0  # for the last export, when all else is done
MISSING = "pip install 'coder[otel]'"
PROVIDERS = {"gemini": "gcp.gemini", "mistral": "mistral_ai"}  # as the conventions call them; the others are the same

# Bucket boundaries that the conventions ask for (gen-ai-metrics).
TOKENS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864]
SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]

_open: list["Telemetry"] = []


def observed(emit: Emit, settings: "OtelSettings", environ: Mapping[str, str] = os.environ) -> Emit:
    """`emit`, with OpenTelemetry listening where it is wanted. Raises UserError where it is wanted and not there."""
    signals = _signals(settings, environ)
    if not signals:
        return emit
    if importlib.util.find_spec("opentelemetry") is None or not importlib.util.find_spec("opentelemetry.sdk"):
        if settings.export == "on":
            raise UserError("otel.export is on, and OpenTelemetry is not installed", MISSING)
        emit(Notice(f"{ENDPOINT} is set, and OpenTelemetry is not installed: nothing is exported ({MISSING})"))
        return emit
    telemetry = Telemetry(signals, settings.content, environ)
    _open.append(telemetry)

    def both(event: events.Event) -> None:
        emit(event)
        telemetry(event)

    return both


def close() -> list[str]:
    """Send what is left, within PATIENCE_S each; why it may not have arrived, if so."""
    complaints = [_open.pop().close() for _ in range(len(_open))]
    return [complaint for complaint in complaints if complaint]


def _signals(settings: "OtelSettings", environ: Mapping[str, str]) -> frozenset[str]:
    """Which of "TRACES" and "METRICS" are wanted, by the variables that every exporter goes by."""
    if settings.export == "off" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    return frozenset(
        signal
        for signal in ("TRACES", "METRICS")
        if settings.export == "on" or environ.get(ENDPOINT) or environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        if environ.get(f"OTEL_{signal}_EXPORTER") != "none"
    )


class Telemetry:
    """A sink for `emit`, from any thread. Never a reason to fail."""

    def __init__(self, signals: frozenset[str], content: bool, environ: Mapping[str, str]) -> None:
        from opentelemetry import trace

        self._trace = trace
        self._content = content
        self._lock = threading.Lock()
        self._complaints = _Complaints()
        self._complaints.listen()
        self._tracing, self._measuring = _providers(signals, environ)
        about = "coder", __version__
        self._tracer = self._tracing.get_tracer(*about)
        meter = self._measuring.get_meter(*about)
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "Of a call to a model", explicit_bucket_boundaries_advisory=SECONDS
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Of a call to a model", explicit_bucket_boundaries_advisory=TOKENS
        )
        self._common: dict[str, Any] = {}  # of every span: the conversation
        self._model = ""
        self._turn: Any = None
        self._inside: dict[object, Any] = {}  # what is under way in the turn: agents, tools, tests
        self._said = ""

    def __call__(self, event: events.Event) -> None:
        with contextlib.suppress(Exception), self._lock:
            self._take(event)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.SessionStarted():
                self._common = {"gen_ai.conversation.id": event.session}
                self._model = event.model
            case events.TurnStarted():
                self._end_turn("interrupted")
                about = {"gen_ai.agent.name": "coder", "gen_ai.request.model": self._model}
                self._turn = self._start("invoke_agent", "coder", None, about)
                self._put_content("gen_ai.input.messages", "user", event.task)
            case events.CallFinished():
                self._call(event)
            case events.ToolStarted():
                about = {"gen_ai.tool.name": event.name, "gen_ai.tool.call.id": event.call_id}
                self._inside["tool", event.call_id] = self._start("execute_tool", event.name, self._turn, about)
            case events.ToolFinished():
                self._end(self._inside.pop(("tool", event.call_id), None), "" if event.ok else "refused")
            case events.SubagentStarted():
                about = {"gen_ai.agent.name": event.role, "gen_ai.request.model": event.model}
                self._inside["agent", event.role, event.id] = self._start("invoke_agent", event.role, self._turn, about)
            case events.SubagentFinished():
                self._end(self._inside.pop(("agent", event.role, event.id), None), "" if event.ok else "failed")
            case events.TestStarted():
                self._inside["test", event.on] = self._start("", f"test {event.on}", self._turn, {})
            case events.TestFinished(report):
                span = self._inside.pop(("test", event.on), None)
                counts = {"ran": report.ran, "passed": report.passed, "failed": report.failed}
                if span and report.exit_code is not None:
                    counts["exit_code"] = report.exit_code
                if span:
                    span.set_attributes({f"coder.test.{name}": value for name, value in counts.items()})
                self._end(span, "timeout" if report.timed_out else "")
            case events.ReplyFinished(text):
                self._said = text
            case events.RetryWaiting() if self._turn:
                waited = {"coder.retry.wait": event.seconds, "coder.retry.attempt": event.attempt}
                self._turn.add_event("retry", waited)
            case events.TurnFinished():
                self._end_turn("" if event.status in ("done", "unchanged") else event.status)

    def _call(self, call: events.CallFinished) -> None:
        """A finished call as a span that began when it was sent, under the subagent that made it, if one did."""
        error = "" if call.status == "ok" else call.status
        about: dict[str, Any] = {"gen_ai.provider.name": PROVIDERS.get(call.provider, call.provider)}
        about |= {"gen_ai.request.model": call.model, "server.address": call.host.rpartition(":")[0] or call.host}
        about |= {"gen_ai.response.model": call.answered_by} if call.answered_by else {}
        about |= {"error.type": error} if error else {}
        measured = {"gen_ai.operation.name": "chat", **about}
        self._durations.record(call.seconds, measured)
        usage = call.usage
        if usage is not None and not usage.estimated:
            self._tokens.record(usage.input_tokens, {**measured, "gen_ai.token.type": "input"})
            self._tokens.record(usage.output_tokens, {**measured, "gen_ai.token.type": "output"})
        if usage is not None:
            about["gen_ai.usage.input_tokens"] = usage.input_tokens
            about["gen_ai.usage.output_tokens"] = usage.output_tokens
            about["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
            about["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning_tokens
            about["coder.usage.estimated"] = usage.estimated
            about |= {} if usage.usd is None else {"coder.cost.usd": usage.usd}
        about |= {"openai.response.service_tier": call.tier} if call.tier else {}
        about |= {"coder.role": call.role, "coder.attempt": call.attempt}
        agents = [
            span for key, span in self._inside.items() if isinstance(key, tuple) and key[:2] == ("agent", call.role)
        ]
        began = time.time_ns() - int(call.seconds * 1e9)
        parent = agents[-1] if agents else self._turn
        kind = self._trace.SpanKind.CLIENT
        self._end(self._start("chat", call.model, parent, about, start_time=began, kind=kind), error)

    def _start(self, operation: str, what: str, parent: Any, about: dict[str, Any], **more: Any) -> Any:
        context = self._trace.set_span_in_context(parent) if parent else None
        named = {"gen_ai.operation.name": operation} if operation else {}
        attributes = {**self._common, **named, **about}
        return self._tracer.start_span(f"{operation} {what}".strip(), context, attributes=attributes, **more)

    def _end(self, span: Any, error: str) -> None:
        if span is None:
            return
        if error:
            span.set_attribute("error.type", error)
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def _end_turn(self, error: str) -> None:
        for span in self._inside.values():
            self._end(span, "interrupted")
        self._inside.clear()
        if self._turn:
            self._put_content("gen_ai.output.messages", "assistant", self._said)
            self._end(self._turn, error)
        self._turn, self._said = None, ""

    def _put_content(self, name: str, role: str, text: str) -> None:
        if self._content and self._turn and text:
            parts = [{"type": "text", "content": redact(text)}]
            self._turn.set_attribute(name, json.dumps([{"role": role, "parts": parts}]))

    def close(self) -> str:
        """End and send what is left. "" or why it may not have arrived."""
        with self._lock:
            self._end_turn("interrupted")
        closing = threading.Thread(target=self._shut_down, daemon=True)
        closing.start()
        closing.join(PATIENCE_S)
        if closing.is_alive():
            return f"OpenTelemetry took longer than {PATIENCE_S:g} s to export; the rest is lost"
        first = self._complaints.first
        return f"OpenTelemetry could not export: {visible_line(redact(first), 200)}" if first else ""

    def _shut_down(self) -> None:
        with contextlib.suppress(Exception):
            self._tracing.shutdown()
            self._measuring.shutdown()


class _Complaints(logging.Handler):
    """Keeps the first warning of the library, which would else be printed in the middle of the screen."""

    first = ""

    def listen(self) -> None:
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.first = self.first or record.getMessage()


def _providers(signals: frozenset[str], environ: Mapping[str, str]) -> tuple[Any, Any]:
    """Tracer and meter of this process alone: the global ones belong to whoever embeds coder."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": "coder", "service.version": __version__})
    tracing = TracerProvider(resource=resource)
    if "TRACES" in signals:
        tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if "METRICS" in signals else []
    return tracing, MeterProvider(metric_readers=readers, resource=resource)
