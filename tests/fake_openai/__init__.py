"""A strict local stand-in for the model API, over real HTTP: Responses and Chat Completions, streaming or not.

It plays a script of answers and refuses with 400 what the provider would refuse (`rules.py`), so a test that goes
through proves that the requests were well formed. Usage:

    with FakeOpenAI([tool_call("search", {"query": "x"}), text("done")]) as server:
        environ = {"OPENAI_API_KEY": "sk-test-0123456789", "OPENAI_BASE_URL": server.base_url}
        ...
        assert server.requests[1].body["input"][-1]["output"] == "..."
        assert not server.refusals

The script is a sequence of answers, or of functions from the request body to an answer, or a mapping from model to
such a sequence (`{"gpt-5.4-mini": [...], "gpt-5.4-nano": forever(structured({...}))}`), or one function for all.
A script that has ended answers 400. Answers are values: combine with `+` (`reasoning() + text("hm") +
tool_call(...)`) and bend with methods: `.cut(2)`, `.stall(1)`, `.drip(0.01)`, `.chopped(7)`, `.malformed(3)`,
`.inject(1, {...})`, `.using(input_tokens=10)`, `.tier("flex")`, `.incomplete()`, `.failed("server_error")`.
HTTP failures: `unauthorized() forbidden() not_found() rate_limited("1") quota() too_long() server_error() html(502)
html(200) empty() redirect(url) gzip_bomb() huge_json() unsupported("reasoning.summary") status(409)`.
Call `server.permit_rebuild()` where a session may change the prefix it sent before (a compaction).
"""

from tests.fake_openai.answers import (
    Answer,
    Failure,
    empty,
    forbidden,
    forever,
    free_text_call,
    gzip_bomb,
    html,
    huge_json,
    item,
    not_found,
    quota,
    rate_limited,
    reasoning,
    redirect,
    refusal,
    server_error,
    status,
    structured,
    text,
    too_large,
    too_long,
    tool_call,
    unauthorized,
    unsupported,
)
from tests.fake_openai.server import FakeOpenAI, Recorded

__all__ = [
    "Answer",
    "Failure",
    "FakeOpenAI",
    "Recorded",
    "empty",
    "forbidden",
    "forever",
    "free_text_call",
    "gzip_bomb",
    "html",
    "huge_json",
    "item",
    "not_found",
    "quota",
    "rate_limited",
    "reasoning",
    "redirect",
    "refusal",
    "server_error",
    "status",
    "structured",
    "text",
    "too_large",
    "too_long",
    "tool_call",
    "unauthorized",
    "unsupported",
]
