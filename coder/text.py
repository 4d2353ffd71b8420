"""The boundary for untrusted text: `visible` before a terminal sees it, `redact` before a log or a model does.

Neither ever touches bytes that are written to files. Textual and Rich pass control characters through by
themselves, so every string that came from a repository, a model, a test or an API goes through here first.
"""

import re

# C0 controls but tab and newline become control pictures (U+2400 block); the rest is spelled out.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)} | {0x7F: "\u2421"}

# C1, soft hyphen, Arabic letter mark, Hangul and Khmer fillers, Mongolian separators, zero width and bidi controls,
# line and paragraph separators, invisible operators, braille blank, variation selectors, BOM, interlinear marks,
# surrogates (undecodable bytes), private use, tag characters. Source: Unicode 16, categories Cc, Cf, Co, Cs, Zl, Zp
# and the default-ignorable code points that render as nothing.
_HIDDEN = (
    "\x80-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f{_HIDDEN}]")
_HIDDEN_ONLY = re.compile(f"[{_HIDDEN}]")


def _spell(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: one undecodable byte
        return f"<{code - 0xDC00:02X}>"
    return _PICTURES.get(code) or f"<U+{code:04X}>"


def visible(text: str) -> str:
    """`text` with everything that could steer a terminal or hide from a reader spelled out.

    Keeps newline and tab; a CR before a newline is dropped, any other becomes a picture. Idempotent.
    """
    return _UNSAFE.sub(_spell, text.replace("\r\n", "\n"))


def visible_line(text: str, limit: int = 0) -> str:
    """`visible` for a single line: newlines and tabs become pictures too, and a cut is announced ("+12")."""
    line = visible(text).replace("\n", "\u2424").replace("\t", "\u2409")
    if limit and len(line) > limit:
        return f"{line[:limit]}… +{len(line) - limit}"
    return line


def hides_characters(text: str) -> bool:
    """Whether `text` has characters that a reader would not see (bidi, zero width, tags, private use)."""
    return _HIDDEN_ONLY.search(text) is not None


# Each pattern is linear: bounded repeats, no nested quantifiers. The name is what is left in the text.
_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private key",
        re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,20000}?-----END [A-Z ]{0,30}PRIVATE KEY-----"),
    ),
    ("private key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,20000}")),
    ("AWS key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255})")),
    ("GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{16,255}")),
    ("API key", re.compile(r"\bsk-[A-Za-z0-9_-]{16,255}")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{30,255}")),
    ("PyPI token", re.compile(r"\bpypi-[A-Za-z0-9_-]{40,255}")),
    ("Google key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("JWT", re.compile(r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}")),
    ("bearer token", re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{16,2000}")),
    ("URL password", re.compile(r"(?<=://)[^\s/:@\"'<>]{0,200}:[^\s/@\"'<>]{1,200}(?=@)")),
)


def find_secrets(text: str) -> tuple[str, ...]:
    """The kinds of secrets that `text` holds by their well-known forms, without the values."""
    return tuple(dict.fromkeys(name for name, pattern in _SECRETS if pattern.search(text)))


def redact(text: str, known: tuple[str, ...] = ()) -> str:
    """`text` without secrets: the `known` values (keys of this process) and well-known forms. Idempotent."""
    for value in known:
        if len(value) >= 8:
            text = text.replace(value, "[redacted]")
    for name, pattern in _SECRETS:
        text = pattern.sub(f"[redacted {name}]", text)
    return text


def mask_key(key: str) -> str:
    """A key that a person can recognise and nobody can use: its last four characters."""
    return f"…{key[-4:]}" if len(key) >= 12 else "…"
