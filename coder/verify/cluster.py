"""Groups failures that most likely have one cause, by rules alone: the same input always gives the same clusters."""

import os
import re
from collections.abc import Collection, Iterable, Mapping

from coder.values import Evidence, TestFailure, TriageCard, TriageCause

_MOST_LOCATIONS, _MOST_EVIDENCE = 5, 4
_CODE = "py|[cm]?[jt]sx?|go|rs|java|kts?|rb|php|cc?|cpp|hpp?|cs|swift|exs?"
_FRAMES = (
    re.compile(r'(?m)^[ \t]*File "([^"\n]+)", line (\d+)'),
    re.compile(rf"(?<![\w/.:-])((?:\.?/)?[\w@+-][\w./@+-]*\.(?:{_CODE})):(\d+)"),
)
_FOREIGN = re.compile(
    r"(^|/)(site-packages|dist-packages|node_modules|lib/python3[^/]*|\.cargo|rustc|internal|src/testing|src/runtime)(/|$)"
    r"|^<|^node:|^/usr/"
)
_NORMAL = (
    (re.compile(r"0x[0-9a-fA-F]+"), "0x…"),
    (re.compile(r"'[^'\n]{1,200}'|\"[^\"\n]{1,200}\""), "'…'"),
    (re.compile(r"(?:/[\w.@+-]+){2,}"), "PATH"),
    (re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?"), "N"),
    (re.compile(r"\s+"), " "),
)
_CAUSES: tuple[tuple[re.Pattern[str], TriageCause], ...] = (
    (re.compile(r"TimeLimit|Timeout|timed out", re.IGNORECASE), "timeout"),
    (re.compile(r"ModuleNotFoundError|command not found|No module named|Cannot find module"), "environment"),
    (re.compile(r"ENOENT|EAFNOSUPPORT|FileNotFoundError: .*(/usr|/bin)"), "environment"),
    (re.compile(r"Network is unreachable|Temporary failure in name resolution|ENETUNREACH|EAI_AGAIN"), "environment"),
    (re.compile(r"MemoryLimit|ProcessLimit|DiskLimit|No space left"), "environment"),
)  # fmt: skip


def cluster(evidence: Evidence, paths: Collection[str] = ()) -> tuple[TriageCard, ...]:
    """One card for each group of failures, new ones first, then by size. Paths in cards are those of the tree, as far
    as one of its `paths` is meant for certain, else as the trace has them."""
    failures = [failure for report in evidence.reports for failure in report.failures]
    new = set(evidence.new_failures)
    groups: dict[tuple[bool, str, str, str], list[TestFailure]] = {}
    for failure in failures:
        groups.setdefault((failure.name in new, *_signature(failure)), []).append(failure)
    ordered = sorted(groups.values(), key=lambda group: (not any(f.name in new for f in group), -len(group)))
    by_name: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    return tuple(_card(group, evidence, by_name) for group in ordered)


def _signature(failure: TestFailure) -> tuple[str, str, str]:
    """Kind, message without what varies, and the innermost frame in the repository: of the test's own file only its
    name, since each test fails at a line of its own there."""
    message = failure.message.partition("\n")[0]
    for pattern, stand_in in _NORMAL:
        message = pattern.sub(stand_in, message)
    path, line = (_locations(failure) or [("", 0)])[0]
    in_test = path == failure.file or failure.name.startswith(path)
    return failure.kind, message.strip()[:200], path if in_test else f"{path}:{line}"


def _locations(failure: TestFailure) -> list[tuple[str, int]]:
    """The frames of the trace that are the repository's own, innermost first. Python prints them last."""
    found: list[tuple[str, int]] = []
    for pattern in _FRAMES:
        found += [(path, int(line)) for path, line in pattern.findall(failure.trace)]
    own = [place for place in found if not _FOREIGN.search(place[0])]
    if any(path.endswith(".py") for path, _ in own):
        own.reverse()
    return list(dict.fromkeys(own)) or ([(failure.file, failure.line)] if failure.file else [])


def _card(group: list[TestFailure], evidence: Evidence, by_name: Mapping[str, list[str]]) -> TriageCard:
    first = group[0]
    places = dict.fromkeys(place for failure in group for place in _locations(failure))
    found = [(_in_tree(path, by_name), line) for path, line in places]
    locations = [place for place in found if place[0] in by_name.get(place[0].rpartition("/")[2], ())] or found
    message = first.message.strip().partition("\n")[0][:160] or "failed"
    title = f"{first.kind}: {message}" if first.kind and not message.startswith(first.kind) else message
    names = tuple(failure.name for failure in group)
    cause = _cause(group, names, evidence)
    return TriageCard(
        title if len(group) == 1 else f"{title} ({len(group)} tests)",
        names,
        cause,
        0.5 if cause != "unknown" else 0.0,
        tuple(dict.fromkeys(locations))[:_MOST_LOCATIONS],
        tuple(_quotes(group)),
        "",
        "rules",
    )


def _cause(group: list[TestFailure], names: tuple[str, ...], evidence: Evidence) -> TriageCause:
    for pattern, cause in _CAUSES:
        if pattern.search(f"{group[0].kind} {group[0].message}"):
            return cause
    if set(names) <= set(evidence.flaky):
        return "flaky"
    return "unrelated" if evidence.base and set(names) <= set(evidence.preexisting) else "unknown"


def _quotes(group: Iterable[TestFailure]) -> list[str]:
    quotes: list[str] = []
    for failure in group:
        lines = [line.strip() for line in failure.trace.splitlines() if line.lstrip().startswith(("E ", "assert"))]
        said = failure.message.strip().partition("\n")[0]
        quotes += [line for line in lines if line != "E"][:2]
        quotes += [said] if not any(said in quote for quote in quotes) else []
    return [quote[:300] for quote in dict.fromkeys(quotes) if quote][:_MOST_EVIDENCE]


def _in_tree(path: str, by_name: Mapping[str, list[str]]) -> str:
    """The path of the tree that a trace means: it may name a file of another machine's checkout, or, as Java and Go
    do, without its directory."""
    path = os.path.normpath(path)
    namesakes = by_name.get(path.rpartition("/")[2], [])
    if path in namesakes:
        return path
    longest = max((known for known in namesakes if path.endswith(f"/{known}")), key=len, default="")
    inside = [known for known in namesakes if known.endswith(f"/{path}")]
    return longest or (inside[0] if len(inside) == 1 else path)
