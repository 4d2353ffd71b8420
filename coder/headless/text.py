"""The result as a person reads it on stdout: what was done, by file, the tests, the price."""

from typing import Any

from coder.amounts import count
from coder.text import inert, redact, visible

MAX_CARDS = 20


def summary_text(result: dict[str, Any]) -> str:
    """A few lines; untrusted text sanitised."""
    lines = [result["summary"] or result["status"]]
    lines += [f"  {file['path']}  +{file['added']} -{file['removed']}  ({file['kind']})" for file in result["files"]]
    lines += [_tests_line(result["tests"])] if result["files"] or result["tests"]["status"] != "not_run" else []
    lines += [f"commit {result['commit']}"] if result["commit"] else []
    lines += ["undo with: coder undo"] if result["checkpoint"] else []
    if result["usage"]:
        price = "unknown" if result["cost_usd"] is None else f"${result['cost_usd']:.4f}"
        lines += [f"cost: {price}, {count(sum(usage['requests'] for usage in result['usage']), 'request')}"]
    for card in result["triage"][:MAX_CARDS]:
        lines += ["", *_card_lines(card)]
    lines += [f"and {len(result['triage']) - MAX_CARDS} more"] if len(result["triage"]) > MAX_CARDS else []
    return inert(visible(redact("\n".join(lines))))


def _card_lines(card: dict[str, Any]) -> list[str]:
    by = f"{card['confidence']:.0%} sure" if card["source"] == "model" else "by rules"
    places = ", ".join(f"{place['path']}:{place['line']}" for place in card["locations"][:3])
    lines = [card["title"], f"  probable cause: {card['cause'].replace('_', ' ')} ({by})"]
    lines += [f"  at {places}"] if places else []
    lines += [f"  {test}" for test in card["tests"][:3]]
    lines += [f"  and {len(card['tests']) - 3} more tests"] if len(card["tests"]) > 3 else []
    lines += [f"  > {quote}" for quote in card["evidence"][:3]]
    return lines + ([f"  next: {card['next_step']}"] if card["next_step"] else [])


def _tests_line(tests: dict[str, Any]) -> str:
    if tests["status"] == "not_run":  # said, because the model may claim otherwise
        return f"no tests ran: {tests['note']}" if tests["note"] else "no tests ran"
    parts = [f"{tests['passed']} passed", f"{tests['failed']} failed"]
    for field, word in (("fixed", "fixed"), ("new_failures", "new"), ("preexisting", "failed before too")):
        if tests[field]:
            parts.append(f"{len(tests[field])} {word}")
    fine = tests["status"] == "passed" and tests["failed"]
    return f"tests {'without new failures' if fine else tests['status']}: {', '.join(parts)}"
