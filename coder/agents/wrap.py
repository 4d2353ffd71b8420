"""Marks around untrusted text, which the text itself cannot close. Decides nothing about what is inside."""

import hashlib
import re

_MARK = re.compile(r"<data [0-9a-f]{16}: (.*)>")


def wrap(label: str, text: str) -> str:
    """`text` between marks that carry a digest of it, so that no text can hold its own end. Deterministic.

    `label` is one line, as in `file src/a.py, lines 1-20 of 90`.
    """
    mark = hashlib.sha256(f"{label}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    ending = "" if text.endswith("\n") or not text else "\n"
    return f"<data {mark}: {' '.join(label.split())}>\n{text}{ending}</data {mark}>"


def gist(answer: str) -> str:
    """The first line of a tool's answer, for a person: of marked text its label."""
    first = answer.lstrip().partition("\n")[0]
    label = _MARK.fullmatch(first)
    return (label[1] if label else first)[:200]


def clip(text: str, limit: int, advice: str = "") -> str:
    """At most about `limit` characters of `text`: its beginning and its end, and what was left out between."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[len(text) - limit // 3 :]
    head = head[: head.rfind("\n") + 1] or head
    tail = tail[tail.find("\n") + 1 :] or tail
    left_out = len(text) - len(head) - len(tail)
    return f"{head}[… {left_out} characters left out{'; ' + advice if advice else ''} …]\n{tail}"
