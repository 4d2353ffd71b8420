"""Which server to speak to: address, key, dialect and quirks, from the settings, the environment or a listed profile.

Holds the one place where the key is read. Nothing here opens a connection.
"""

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from msgspec import structs

from coder.errors import UserError

if TYPE_CHECKING:
    from coder.config import Settings

KEYLESS = "local"  # servers that want no key still get a header; the SDK insists on one
_SHIPPED = Path(__file__).with_name("providers.toml")
WITHOUT_KEY = (
    "export {name}=…; without a key: `coder demo` shows the whole job, and a local server (Ollama, llama.cpp, vLLM) "
    "works with OPENAI_BASE_URL=http://localhost:11434/v1 and --set api=chat --model NAME"
)


@dataclass(frozen=True, slots=True)
class Provider:
    """One server. `key` is "" where none was found, and never shown. `price_factor` multiplies the list price."""

    name: str
    base_url: str = field(repr=False)
    api: str
    key_env: str
    key: str = field(repr=False)
    quirks: frozenset[str] = frozenset()
    price_factor: float = 1.0

    @property
    def host(self) -> str:
        """Host and port, for people: never credentials, path or query."""
        return _host(urlsplit(self.base_url))

    @property
    def host_name(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def local(self) -> bool:
        return is_local(self.host_name)

    @property
    def needs_key(self) -> bool:
        """Whether calling without a key is pointless. Servers of one's own and named ones without a variable need
        none; credentials in the address stand in for one."""
        return bool(self.key_env) and not self.key and not self.local and "@" not in urlsplit(self.base_url).netloc

    def require_key(self) -> None:
        """Raises UserError, saying how to go on without a key, when one is needed and missing."""
        if self.needs_key:
            raise UserError(f"no API key: {self.key_env} is not set", WITHOUT_KEY.format(name=self.key_env))


@cache
def profiles() -> Mapping[str, Mapping[str, Any]]:
    """The listed servers by name."""
    listed: Mapping[str, Mapping[str, Any]] = tomllib.loads(_SHIPPED.read_text(encoding="utf-8"))["providers"]
    return listed


def choose_provider(settings: "Settings", environ: Mapping[str, str]) -> Provider:
    """The server of this run. Raises UserError for an unknown name, a bad address or a key that is no header.

    `settings.provider` wins, then `settings.base_url`, then OPENAI_BASE_URL, then OpenAI.
    """
    if settings.provider:
        own = settings.providers.get(settings.provider)
        listed = profiles().get(settings.provider)
        if own is None and listed is None:
            names = ", ".join(sorted({*profiles(), *settings.providers}))
            raise UserError(f"unknown provider {settings.provider!r}", f"known are {names}; or add [providers.NAME]")
        table = structs.asdict(own) if own is not None else dict(listed or {})
        url = check_base_url(table["base_url"], f"providers.{settings.provider}.base_url")
        return _provider(settings.provider, url, table["api"], table["api_key_env"], table["quirks"], environ)
    origin = "base_url" if settings.base_url else "OPENAI_BASE_URL"
    given = settings.base_url or environ.get("OPENAI_BASE_URL", "").strip()
    url = check_base_url(given or profiles()["openai"]["base_url"], origin)
    host = urlsplit(url).hostname or ""
    for name, profile in profiles().items():
        if host in profile["hosts"]:
            api = "chat" if settings.api == "chat" else profile["api"]
            return _provider(name, url, api, settings.api_key_env, profile["quirks"], environ)
    return _provider("custom", url, settings.api, settings.api_key_env, (), environ)


def _provider(name: str, url: str, api: str, key_env: str, quirks: Any, environ: Mapping[str, str]) -> Provider:
    host = urlsplit(url).hostname or ""
    residency = host.endswith(".api.openai.com")  # regional endpoints cost a tenth more (pricing page)
    key = _read_key(key_env, environ)
    return Provider(name, url, api, key_env, key, frozenset(quirks), 1.1 if residency else 1.0)


def _read_key(name: str, environ: Mapping[str, str]) -> str:
    key = environ.get(name, "").strip() if name else ""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(
            f"the key in {name} holds characters that no key has", "copy it again, without quotes or spaces"
        )
    return key


def check_base_url(text: str, origin: str) -> str:
    """`text` as an address without a slash at its end. Raises UserError, never repeating credentials."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise UserError(f"{origin} is not a valid address", "as in https://host/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UserError(f"{origin} must be an http or https address", "as in https://host/v1")
    if parts.query or parts.fragment:
        raise UserError(f"{origin} must end with its path ({_host(parts)})", "leave out everything from ? or # on")
    if not text.strip().isprintable() or any(each.isspace() for each in text.strip()):
        raise UserError(f"{origin} holds spaces or control characters", "as in https://host/v1")
    return text.strip().rstrip("/")


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{parts.port}" if parts.port else shown


def is_local(host: str) -> bool:
    """Whether `host` is this machine or a private network's, where servers usually want no key."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host and ":" not in host  # a bare name, as of a container
    return address.is_loopback or address.is_private or address.is_link_local
