"""What never leaves the machine, and why: secrets by name or content, binaries, giants, what the user excludes.

Every text that is shown to a model goes through `shown_text`; every file through `withheld` first.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable

from coder.context.ignore import Patterns
from coder.context.languages import suffix_of
from coder.text import find_secrets, redact

MAX_FILE_BYTES = 2 * 1024 * 1024
HEAD_BYTES = 8_000  # how far git looks for a NUL before it calls a file text

# Source: the list of secret files in the project's threat model; the names are those their own tools use.
_SECRET_NAME = re.compile(  # of a name in lower case
    r"\.env(?:\.(?!example$|sample$|template$|dist$).*)?|\.envrc"
    r"|id_[a-z0-9_-]+|[._]netrc|\.npmrc|\.pypirc|\.git-credentials|\.htpasswd|\.pgpass|\.my\.cnf|\.dockercfg"
    r"|\.?credentials|kubeconfig|service[-_]?account.*\.json|client_secrets?.*\.json"
    r"|secrets?\.(?:json|ya?ml|toml|ini|env)|\.vault[-_]?pass(?:word)?"
)
_SECRET_ENDINGS = (
    *(".env", ".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".ppk", ".kdbx", ".tfstate", ".tfstate.backup"),
    *(".kubeconfig", ".ovpn"),
)
_SECRET_FOLDER = re.compile(
    r"(?i)(?:^|/)\.(?:aws|ssh|gnupg|azure|gcloud)/|(?:^|/)\.(?:docker/config\.json|kube/config)$"
)
_LFS = b"version https://git-lfs.github.com/spec/"

# These forms turn up in examples and tests as placeholders: in code and prose only the value is redacted.
_WEAK = frozenset({"URL password", "basic credentials", "bearer token", "JWT"})
_ASSIGNMENT = re.compile(
    r"(?i)(?:secret|token|passw(?:or)?d|passphrase|api_?-?key|private_?-?key|access_?-?key|credential)[\w.-]{0,40}"
    r"[\"']?\s{0,4}[:=]{1,2}\s{0,4}[\"']?([A-Za-z0-9+/_=.~-]{20,200})(?![\w(\[])"
)
_PROSE_OR_CODE = frozenset(
    "md rst adoc tex htm html py pyx pyi js jsx cjs cjsx mjs mjsx ts tsx cts ctsx mts mtsx vue svelte go rs c h cc cpp"
    " cxx hh hpp java kt kts scala cs rb php swift m mm sh bash zsh fish pl pm lua r jl ex exs erl hs ml mli clj dart"
    " zig nim sql ipynb".split()
)


class Rules:
    """The user's patterns for one repository: `.coderignore` and `--exclude`.

    A `!pattern` of the user's own (`exclude`, not the repository's file) also lifts the secret rules for what it
    names: that is the override, file by file, and it is the user who says so.
    """

    def __init__(self, coderignore: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._ignored = Patterns(coderignore)
        self._excluded = Patterns(exclude)

    def why(self, path: str) -> str:
        """ "" or why the path alone keeps a file from the model."""
        if not (self._excluded.patterns or self._ignored.patterns):
            return secret_name(path)
        verdict = self._excluded.match(path)
        if verdict == "ignored":
            return "excluded by you"
        if verdict == "" and self._ignored.match(path) == "ignored":
            return "excluded by .coderignore"
        return "" if verdict == "kept" else secret_name(path)

    def allows_secrets(self, path: str) -> bool:
        return self._excluded.match(path) == "kept"


NO_RULES = Rules()


def withheld(path: str, head: bytes, *, size: int = -1, rules: Rules = NO_RULES) -> str:
    """ "" or why the file never reaches a request.

    `head` is the content, or as much of it as is at hand; `size` the size of the whole in bytes when `head` is a part.
    """
    if why := rules.why(path) or too_large(max(size, len(head))):
        return why
    return content_why(path, head, secrets=not rules.allows_secrets(path)) if head else ""


def too_large(size: int) -> str:
    """ "" or why a file of `size` bytes never reaches a request."""
    return "" if size <= MAX_FILE_BYTES else f"larger than {MAX_FILE_BYTES // 1024 // 1024} MiB"


def content_why(path: str, head: bytes, *, secrets: bool = True) -> str:
    """ "" or why the content keeps a file from the model; the path only tells code from other text."""
    if not head:
        return ""
    if head.startswith(_LFS):
        return "Git LFS pointer"
    if is_binary(head):
        return "binary"
    return secret_content(path, head) if secrets else ""


def secret_name(path: str) -> str:
    """ "" or that the name of the file is one that holds secrets."""
    name = path.rpartition("/")[2].lower()
    named = name.endswith(_SECRET_ENDINGS) or ("credential" in name and name.endswith(".json"))
    hidden = path.startswith(".") or "/." in path
    if named or _SECRET_NAME.fullmatch(name) or (hidden and _SECRET_FOLDER.search(path)):
        return "looks like a secret (by its name)"
    return ""


def is_binary(head: bytes) -> bool:
    """Whether git would call it binary (a NUL near the start), or it is mostly control characters."""
    start = head[:HEAD_BYTES]
    return b"\0" in start or len(start.translate(None, _CONTROL)) < 0.9 * len(start)


_CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r\f\b\x1b")


def secret_content(path: str, content: bytes) -> str:
    """ "" or the kind of secret that the content holds by its well-known form."""
    prose_or_code = suffix_of(path) in _PROSE_OR_CODE
    if prose_or_code and not any(mark in content for mark in _MARKS):
        return ""
    text = content.decode("utf-8", "replace")
    kinds = find_secrets(text)
    if prose_or_code:
        kinds = tuple(kind for kind in kinds if kind not in _WEAK)
    elif _assigns_secret(content, text):
        kinds += ("assigned secret",)
    return f"holds a secret ({kinds[0]})" if kinds else ""


def _assigns_secret(content: bytes, text: str) -> bool:
    lowered = content.lower()
    return any(word in lowered for word in _SECRET_WORDS) and any(map(_is_random, _ASSIGNMENT.findall(text)))


# What the names in _ASSIGNMENT have in common, in lower case: searched for before the pattern, which is slow.
_SECRET_WORDS = (b"secret", b"token", b"passw", b"passphrase", b"key", b"credential")

# What every strong form starts with: most files are spared the decoding and the patterns.
_MARKS = (
    *(b"PRIVATE KEY-----", b"AKIA", b"ASIA", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", b"glpat-"),
    *(b"sk-", b"xox", b"npm_", b"pypi-", b"AIza", b"k_live_"),
)


def shown_text(content: bytes) -> str:
    """The content as the model may see it: UTF-8 with U+FFFD for what is not, secrets in well-known forms redacted."""
    text = content.decode("utf-8", "replace")
    suspect = any(mark in content for mark in _MARKS) or _WEAK_MARK.search(content)
    return redact(text) if suspect else text


_WEAK_MARK = re.compile(
    rb"://[^\s/@]{1,400}@|eyJ[\w-]{10}|[Bb][Ee][Aa][Rr][Ee][Rr] [A-Za-z0-9._~+/=-]{16}|asic [\w+/=]{8}"
)


def _is_random(value: str) -> bool:
    """Whether an assigned value looks generated: letters and digits mixed, over 3.5 bits a character."""
    if not (re.search(r"\d", value) and re.search(r"[A-Za-z]", value)):
        return False
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares) > 3.5
