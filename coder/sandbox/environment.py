"""The environment a command gets: an allow-list, so that no secret is there because nobody thought of it."""

import os
import re
from collections.abc import Collection, Mapping

from coder.sandbox.layout import TOOLCHAIN_VARIABLES

_ALLOWED = ("LANG", "LANGUAGE", "TERM", "TZ", "CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
_SECRET_NAME = re.compile(r"(?i)(key|token|secret|passw|credential|auth|cookie|session)")
_NEVER = re.compile(r"(?i)^(coder_|openai_|ld_preload$|ld_audit$)")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(
    environ: Mapping[str, str], root: str, home: str, temporary: str, named: Collection[str], secrets: Collection[str]
) -> dict[str, str]:
    """What `environ` may hand on. `named`: variables the user lists; one is left out all the same when its value is
    a known secret: one of `secrets`, or what a variable that is named like a secret, and not listed, holds."""
    known = {value for value in secrets if value}
    known |= {value for name, value in environ.items() if value and name not in named and _SECRET_NAME.search(name)}
    passed = {
        name: value
        for name, value in environ.items()
        if (name in _ALLOWED or name.startswith("LC_") or name in TOOLCHAIN_VARIABLES or name in named)
        and not _NEVER.match(name)
        and not any(secret in value for secret in known if len(secret) >= 6)
    }
    passed["PATH"] = search_path(environ.get("PATH", ""), root)
    passed |= {"HOME": home, "TMPDIR": temporary, "PYTHONDONTWRITEBYTECODE": "1", "CI": environ.get("CI") or "1"}
    passed.setdefault("LANG", "C.UTF-8")
    return passed


def search_path(path: str, root: str) -> str:
    """PATH with the repository's own environment first, as if it had been activated, and no relative entry."""
    own = [f"{root}/{name}/bin" for name in (".venv", "venv") if os.path.isfile(f"{root}/{name}/pyvenv.cfg")]
    own += [f"{root}/node_modules/.bin"] if os.path.isdir(f"{root}/node_modules/.bin") else []
    entries = [entry for entry in path.split(":") if entry.startswith("/")]
    return ":".join(dict.fromkeys([*own, *(entries or _DEFAULT_PATH.split(":"))]))
