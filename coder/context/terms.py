"""Words of code and prose as comparable terms: identifiers split at case and underscore, stemmed, numbered.

`fileWatcher`, `file_watcher` and `FileWatcher` all give the stems of `file` and `watcher`, and `filewatcher`.
"""

import re
import zlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

LONGEST = 60  # characters of a word
_WORD = re.compile(rf"[^\W\d_]\w{{1,{LONGEST - 1}}}")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_BLANKED = "".join(chr(code) if chr(code).isalnum() or chr(code) == "_" else " " for code in range(128))
MOST_KNOWN = 100_000  # words whose terms are remembered, a few megabytes: enough for one large project


def words(text: str) -> list[str]:
    """Identifiers and words of `text`, as they are spelled, in order; private names without their underscores."""
    return _WORD.findall(text)


def parts(word: str) -> list[str]:
    """A word split at underscores, case changes and digits, in lower case: `HTTPServer2` → http, server, 2."""
    return [part.lower() for part in _PART.findall(word)]


def terms(word: str) -> tuple[str, ...]:
    """The terms a word stands for: its stemmed parts, and the whole joined if it has several parts."""
    split = parts(word)
    found = [stem(part) for part in split if len(part) > 1 and not part.isdigit()]
    if len(split) > 1:
        found.append("".join(split))
    return tuple(dict.fromkeys(found))


def number(term: str) -> int:
    """The term as 32 bits: small, quick to search for, and the same in every process."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=MOST_KNOWN)
def numbers(word: str) -> tuple[int, ...]:
    """The numbers of `terms(word)`, in the same order."""
    return _numbers(word)


def _numbers(word: str) -> tuple[int, ...]:
    split = parts(word)
    found = filter(None, map(_part_number, split))
    return tuple(dict.fromkeys((*found, number("".join(split))))) if len(split) > 1 else tuple(found)


@lru_cache(maxsize=MOST_KNOWN)
def _part_number(part: str) -> int:
    """The number of its stem, 0 for a part that is no term: single characters and digits."""
    return number(stem(part)) if len(part) > 1 and not part.isdigit() else 0


def term_numbers(text: str) -> frozenset[int]:
    """The terms that occur in `text`, a path for instance."""
    return frozenset(found for word in words(text) for found in numbers(word))


def count(text: str) -> dict[int, int]:
    """How often each term (by number) occurs in `text`."""
    if not text.isascii():
        return count_words(Counter(words(text)))
    counts: dict[int, int] = {}
    so_far = counts.get
    for run, times in Counter(text.translate(_BLANKED).split()).items():  # in half the time of the pattern
        for term in _terms_of_run[run]:
            counts[term] = so_far(term, 0) + times
    return counts


def count_words(spelled: Mapping[str, int]) -> dict[int, int]:
    """The same for words that are counted already."""
    counts: dict[int, int] = {}
    for word, times in spelled.items():
        for term in numbers(word):
            counts[term] = counts.get(term, 0) + times
    return counts


class _TermsOfRun(dict[str, tuple[int, ...]]):
    """The terms in an unbroken run of letters, digits and underscores; quicker to ask than a cached function."""

    def __missing__(self, run: str) -> tuple[int, ...]:
        if len(self) >= MOST_KNOWN:
            self.clear()
        if run.isalpha() and run.islower() and 1 < len(run) <= LONGEST:
            found: tuple[int, ...] = (_part_number(run),)  # what the next line finds too, but slowly
        else:
            found = tuple(term for word in words(run) for term in _numbers(word))
        self[run] = found
        return found


_terms_of_run = _TermsOfRun()


# ── stemming ─────────────────────────────────────────────────────────────────────────────────────

# A light stemmer in the spirit of Porter (1980), steps 1 and parts of 2 to 4, made bolder for the vocabulary of code:
# parse, parser, parsing, parsed → pars; watcher, watching → watch; validation, validator, validate → valid.
_ENDINGS = (
    *("ization", "izing", "ized", "izer", "ize", "ation", "ating", "ated", "ator", "ate", "ingly", "edly", "ement"),
    *("ment", "ings", "ing", "ness", "able", "ible", "ion", "ers", "er", "ors", "or", "ed", "es", "e", "y", "s"),
)
_ENDINGS_IN = {last: tuple(each for each in _ENDINGS if each[-1] == last) for last in "degnrsty"}
_VOWEL = re.compile("[aeiouy]")


def stem(word: str) -> str:
    """The stem of a lower-case word; words of three letters and fewer, and those not in ASCII letters, stay."""
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("s"):
        if word.endswith("ies"):
            word = word[:-3] + "y"
        elif word.endswith("sses"):
            word = word[:-2]
        elif not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    for ending in _ENDINGS_IN.get(word[-1], ()):
        if word.endswith(ending):
            left = word[: -len(ending)]
            if len(left) >= 3 and _VOWEL.search(left):
                return _undoubled(left)
    return word


def _undoubled(left: str) -> str:
    return left[:-1] if len(left) > 3 and left[-1] == left[-2] and left[-1] not in "ls" else left
