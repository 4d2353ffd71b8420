"""Says why an edit was refused, so that a model can mend it and a person can follow: at most 40 lines."""

from collections import Counter

from coder.repo.patch.edits import Hunk, Problem
from coder.repo.patch.match import BARE, Target

_LIMIT = 40
_WIDTH = 160  # characters of a quoted line
_CANDIDATES = 20  # line numbers that are listed
_CONTEXT = 2  # lines shown around the nearest place

_ADVICE = {
    "not_found": "Read the file again and copy the old lines exactly.",
    "ambiguous": "Add context lines, or an @@ line, that occur only once.",
    "stale": "Read the file again; it is not as the edit assumes.",
    "truncated": "Send the whole edit again, to its closing mark.",
    "forbidden": "Such a path or content is never written.",
    "malformed": "Write the edit anew in one of the accepted formats.",
    "exists": "Update the file instead of creating it.",
    "missing": "Use the path of a file that exists, or create the file.",
}


def feedback(problems: tuple[Problem, ...]) -> str:
    """The refusal as text. The problems share the lines there are; what is left out is counted."""
    lines = ["The edit was refused as a whole; no file was changed."]
    share = max(4, (_LIMIT - 2) // max(1, len(problems)))
    for number, problem in enumerate(problems):
        told = _told(problem)[:share]
        if len(lines) + len(told) > _LIMIT - 1:
            lines.append(f"… and {len(problems) - number} more problems")
            break
        lines += told
    return "\n".join(lines)


def _told(problem: Problem) -> list[str]:
    where = problem.path or "the edit"
    if problem.hunk:
        where += f", hunk {problem.hunk}"
    lines = [f"{where}: {problem.message} ({problem.kind.replace('_', ' ')})"]
    if problem.lines:
        lines.append("  candidates at lines " + ", ".join(map(str, problem.lines[:_CANDIDATES])))
    lines.append(f"  {_ADVICE[problem.kind]}")
    if problem.nearest:
        lines.append("  the nearest lines of the file are:")
        lines += [f"  {number:>5} | {text[:_WIDTH]}" for number, text in problem.nearest]
    return lines


def nearest_lines(hunk: Hunk, target: Target) -> tuple[tuple[int, str], ...]:
    """The part of the file (1-based numbers) that shares most with the hunk's old lines; empty if nothing does.

    Every old line that occurs votes for the place where the hunk would start; rare lines weigh more.
    """
    old = hunk.old
    votes: Counter[int] = Counter()
    index = target.index(BARE)
    for row, line in enumerate(old):
        places = index.get(BARE.key(line.text), [])
        if line.text.strip() and 0 < len(places) <= 50:
            for place in places:
                votes[(place - row) // 4] += 1000 // len(places)
    if not votes and (similar := _most_similar(old[0].text if old else "", target)) >= 0:
        votes[similar // 4] = 1
    if not votes:
        return ()
    start = max(0, votes.most_common(1)[0][0] * 4 - _CONTEXT)
    stop = min(len(target.lines), start + min(len(old), 12) + 2 * _CONTEXT + 2)
    return tuple((i + 1, target.lines[i]) for i in range(start, stop))


def _most_similar(text: str, target: Target) -> int:
    """The line that shares most words with `text`; -1 if none shares half of them."""
    words = set(text.split())
    shared = Counter(place for word in words for place in target.words.get(word, ()))
    best = max(shared.values(), default=0)
    return min(place for place in shared if shared[place] == best) if best and best * 2 >= len(words) else -1
