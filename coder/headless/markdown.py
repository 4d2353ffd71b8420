"""A result as Markdown for a job summary or a comment. What it quotes is untrusted: nothing of it becomes an image, a
link, a mention, a reference, HTML or a workflow command, and the whole is bounded.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from coder.text import inert, redact, visible, visible_line

MAX_BYTES = 60_000  # what a comment on GitHub takes is 65,536 characters
MARKER = "<!-- coder: report -->"  # by which a later run finds its own comment
MAX_PATCH = 20_000
MAX_LIST = 20
MAX_CARDS = 10

_SPECIAL = re.compile(r"([\\`*_{}\[\]()!|~$#+>-])")
_INSTEAD = str.maketrans({"&": "&amp;", "<": "&lt;"})
_BREAK = "&#8203;"  # a zero width space, which no reader of names, links and numbers looks across
_JOINTS = re.compile(r"(?<=@)|(?<=\\#)(?=\d)|(?<=\bGH)(?=\\-\d)|(?<=:)(?=//)|(?<=\bwww)(?=\.)", re.IGNORECASE)


def result_markdown(result: dict[str, Any], *, limit: int = MAX_BYTES) -> str:
    """The result in sections, the most telling first; what does not fit in `limit` bytes is left out, and that is
    said."""
    note = "\n\n*Some parts did not fit here; the whole is in the result file.*\n"
    text, room = MARKER, limit - len(note.encode())
    for section in _sections(result):
        longer = f"{text}\n\n{section}"
        if len(longer.encode()) > room:
            return inert(text) + note
        text = longer
    return inert(text) + "\n"


def _sections(result: dict[str, Any]) -> Iterator[str]:
    yield _head(result)
    if result["error"]:
        hint = f" {prose(result['error']['hint'])}" if result["error"]["hint"] else ""
        yield f"**{prose(result['error']['message'])}**{hint}"
    if result["files"] or result["tests"]["status"] != "not_run" or result["tests"]["note"]:
        yield _tests(result["tests"])
    for card in result["triage"][:MAX_CARDS]:
        yield _card(card)
    if len(result["triage"]) > MAX_CARDS:
        yield f"and {len(result['triage']) - MAX_CARDS} more clusters of failures"
    if result["files"]:
        yield _files(result)
    if result["warnings"]:
        yield _bullets("Warnings", [prose(warning) for warning in result["warnings"]])
    if result["patch"] and len(result["patch"]) <= MAX_PATCH:
        yield f"<details><summary>Patch</summary>\n\n{fence(result['patch'], 'diff')}\n\n</details>"


def _head(result: dict[str, Any]) -> str:
    cost = "unknown" if result["cost_usd"] is None else f"${result['cost_usd']:.4f}"
    facts = [f"exit code {result['exit_code']}", f"cost {cost}", f"{result['duration_s']:.1f} s"]
    facts += [f"sandbox {code(result['sandbox'])}"] if result["sandbox"] else []
    facts += [f"commit {code(result['commit'])}"] if result["commit"] else []
    facts += [f"session {code(result['session'])}"] if result["session"] else []
    lines = [f"### coder: {result['status']}", "", " · ".join(facts)]
    said = "" if result["error"] and result["summary"] == result["error"]["message"] else result["summary"].strip()
    if said:
        lines += ["", *(f"> {prose(line)}" for line in said[:6_000].splitlines())]
    return "\n".join(lines)


def _tests(tests: dict[str, Any]) -> str:
    lines = [f"#### Tests: {tests['status'].replace('_', ' ')}", ""]
    for run in tests["commands"]:
        ending = "" if run["exit_code"] is None else f"exit code {run['exit_code']}, "
        named = f"{code(' '.join(run['command']))}: " if run["command"] else ""
        lines.append(f"- {named}{ending}{run['passed']} passed, {run['failed']} failed, {run['duration_s']:.1f} s")
    lines += [f"- {prose(tests['note'])}"] if tests["note"] else []
    for title, field in (("New failures", "new_failures"), ("Fixed", "fixed"), ("Failed before too", "preexisting"),
                         ("Flaky", "flaky")):  # fmt: skip
        if tests[field]:
            lines += ["", _bullets(title, [code(name) for name in tests[field]])]
    return "\n".join(lines)


def _card(card: dict[str, Any]) -> str:
    lines = [f"#### {code(card['title'])}", ""]
    by = f"{card['confidence']:.0%} sure" if card["source"] == "model" else "by rules"
    lines.append(f"- probable cause: {card['cause'].replace('_', ' ')} ({by})")
    lines += [f"- at {code(place['path'] + ':' + str(place['line']))}" for place in card["locations"][:5]]
    names = ", ".join(code(name, 120) for name in card["tests"][:5])
    more = f" and {len(card['tests']) - 5} more" if len(card["tests"]) > 5 else ""
    lines.append(f"- tests: {names}{more}")
    lines += [f"- next: {prose(card['next_step'])}"] if card["next_step"] else []
    lines += ["", fence("\n".join(card["evidence"][:6]))] if card["evidence"] else []
    return "\n".join(lines)


def _files(result: dict[str, Any]) -> str:
    rows = [f"{code(file['path'])} {file['kind']}, +{file['added']} −{file['removed']}" for file in result["files"]]
    return _bullets("Changes" if result["exit_code"] == 0 else "Changes that did not land", rows)


def _bullets(title: str, rows: Sequence[str]) -> str:
    more = [f"- and {len(rows) - MAX_LIST} more"] if len(rows) > MAX_LIST else []
    return "\n".join([f"**{title}**", "", *(f"- {row}" for row in rows[:MAX_LIST]), *more])


def prose(text: str) -> str:
    """Untrusted text as one line of plain words."""
    line = visible_line(redact(" ".join(text.split())), 2_000)
    escaped = _SPECIAL.sub(r"\\\1", line.translate(_INSTEAD))
    return _JOINTS.sub(_BREAK, escaped)


def code(text: str, limit: int = 300) -> str:
    """Untrusted text as a code span, which nothing in it can close."""
    line = visible_line(redact(text), limit).replace("|", "¦")  # a bar would part a table's cell even in code
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{ticks} {line} {ticks}" if "`" in line or not line.strip() else f"{ticks}{line}{ticks}"


def fence(text: str, language: str = "") -> str:
    """Untrusted text as a code block, which nothing in it can close."""
    shown = visible(redact(text)).rstrip("\n")
    ticks = "`" * (1 + max(2, *map(len, re.findall("`+", shown) or [""])))
    return f"{ticks}{language}\n{shown}\n{ticks}"
