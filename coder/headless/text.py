"""The result as a person reads it on stdout: what was done, by file, the tests, the price."""

from typing import Any

from coder.text import visible


def summary_text(result: dict[str, Any]) -> str:
    """A few lines; untrusted text sanitised."""
    lines = [result["summary"] or result["status"]]
    lines += [f"  {file['path']}  +{file['added']} -{file['removed']}  ({file['kind']})" for file in result["files"]]
    lines += [_tests_line(result["tests"])] if result["tests"]["status"] != "not_run" else []
    lines += [f"commit {result['commit']}"] if result["commit"] else []
    lines += ["undo with: coder undo"] if result["checkpoint"] else []
    if result["usage"]:
        price = "unknown" if result["cost_usd"] is None else f"${result['cost_usd']:.4f}"
        lines += [f"cost: {price}, {sum(usage['requests'] for usage in result['usage'])} requests"]
    return visible("\n".join(lines))


def _tests_line(tests: dict[str, Any]) -> str:
    parts = [f"{tests['passed']} passed", f"{tests['failed']} failed"]
    for field, word in (("fixed", "fixed"), ("new_failures", "new"), ("preexisting", "failed before too")):
        if tests[field]:
            parts.append(f"{len(tests[field])} {word}")
    fine = tests["status"] == "passed" and tests["failed"]
    return f"tests {'without new failures' if fine else tests['status']}: {', '.join(parts)}"
