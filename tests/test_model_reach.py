"""Getting to a server at all: addresses, keys, names, proxies and TLS; what is told when there is no way."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from coder.errors import ApiError, Exit, UserError
from coder.model import Timeouts
from tests.fake_openai import (
    FakeOpenAI,
    text,
)
from tests.model_kit import settings, talk


def test_a_refused_connection_is_told_soon_and_names_the_host() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    url = f"http://user:hunter2@127.0.0.1:{port}/v1"
    _, heard = talk([], environ={"OPENAI_BASE_URL": url}, chosen=settings(retry_budget=60))
    assert heard.error.exit == Exit.API
    assert f"127.0.0.1:{port}" in heard.error.message
    assert "refused" in heard.error.message.lower()
    assert "hunter2" not in repr(heard.error) + heard.error.message + heard.error.hint
    assert heard.seconds < 10


def test_an_unknown_host_is_told_soon() -> None:
    environ = {"OPENAI_BASE_URL": "http://no-such-host.invalid/v1"}
    _, heard = talk([], environ=environ, chosen=settings(retry_budget=60))
    assert heard.error.exit == Exit.API
    assert "no-such-host.invalid" in heard.error.message
    assert heard.seconds < 10


def test_a_server_that_talks_something_else_is_unreachable_or_passing() -> None:
    with greeting(b"SSH-2.0-nothing\r\n") as port:
        _, heard = talk([], environ={"OPENAI_BASE_URL": f"https://127.0.0.1:{port}/v1"})
    assert isinstance(heard.error, ApiError)
    assert "TLS failed" in heard.error.message


@contextmanager
def greeting(says: bytes) -> Iterator[int]:
    """The port of a server that says the same to everybody. Nothing of it outlives the test: a thread that is left
    in `accept` may come to hold the socket of the next test's server, by the number of its descriptor."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener, says), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # ends `accept`, on Linux; elsewhere a connection does
        with contextlib.suppress(OSError), socket.create_connection(listener.getsockname(), timeout=1):
            pass
        thread.join(10)


def _greet(listener: socket.socket, says: bytes) -> None:
    """Say `says` to whoever connects; nothing said is nothing closed either."""
    silent = []
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        if says:
            peer.recv(4096)
            peer.sendall(says)
            peer.close()
        else:
            silent.append(peer)


@pytest.mark.parametrize(
    "url",
    ["ftp://host/v1", "not a url", "http://", "http://h:99999/v1", "http://u:secret@h/v1?x=1", "http://h/v1\nX: y"],
)
def test_a_bad_address_is_the_users_to_mend(url: str) -> None:
    with pytest.raises(UserError) as caught:
        talk([], environ={"OPENAI_BASE_URL": url})
    assert "secret" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("tail", ["", "/"])
def test_a_slash_at_the_end_of_the_address_does_not_matter(tail: str) -> None:
    with FakeOpenAI([text("ok")]) as server:
        reply, _ = talk([], environ={"OPENAI_BASE_URL": server.base_url + tail})
        assert reply.text == "ok"
        assert server.requests[0].path == "/v1/responses"


def test_a_missing_key_is_told_with_the_ways_to_go_on() -> None:
    environ = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "https://api.example.org/v1"}
    _, heard = talk([], environ=environ)
    assert isinstance(heard.error, UserError)
    assert "OPENAI_API_KEY" in heard.error.message
    assert "coder demo" in heard.error.hint
    assert "OPENAI_BASE_URL" in heard.error.hint


def test_a_server_of_ones_own_needs_no_key() -> None:
    reply, heard = talk([text("ok")], environ={"OPENAI_API_KEY": ""})
    assert reply.text == "ok"
    assert heard.server.requests[0].headers["authorization"] == "Bearer local"


def test_a_key_with_a_line_break_inside_is_told_without_showing_it() -> None:
    with pytest.raises(UserError) as caught:
        talk([], environ={"OPENAI_API_KEY": "sk-one\nsk-two"})
    assert "sk-" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "the proxy refused"),
        (b"", "no connection in"),
    ],
)
def test_a_proxy_that_refuses_or_hangs_is_told_soon_and_costs_nothing(
    says: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with greeting(says) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{port}")
        environ = {"OPENAI_BASE_URL": "https://api.example.org/v1"}
        _, heard = talk([], environ=environ, timeouts=Timeouts(connect=1.0))
    assert told in heard.error.message
    assert "api.example.org" in heard.error.message
    assert "hunter2" not in heard.error.message
    assert heard.client.cost_usd == 0
    assert heard.seconds < 10
