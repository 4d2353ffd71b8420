"""Words of code and prose as comparable terms: identifiers split at case and underscore, stemmed, numbered.

`fileWatcher`, `file_watcher` and `FileWatcher` all give the stems of `file` and `watcher`, and `filewatcher`.
"""

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
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
    if word.isascii() and (word.islower() or word.isupper() or word.istitle()) and word.replace("_", "").isalpha():
        return list(filter(None, word.lower().split("_")))  # what the pattern finds, but most words need none
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
    return _numbers_of(parts(word))


def _numbers_of(split: Sequence[str]) -> tuple[int, ...]:
    """The numbers of what a word of these parts stands for."""
    found = dict.fromkeys(map(_number_of_part.__getitem__, split))
    found.pop(0, None)
    if len(split) > 1:
        found[number("".join(split))] = None
    return tuple(found)


class _NumberOfPart(dict[str, int]):
    """The number of a part's stem, 0 for a part that is no term: single characters and digits."""

    def __missing__(self, part: str) -> int:
        if len(self) >= MOST_KNOWN:
            self.clear()
        found = self[part] = number(stem(part)) if len(part) > 1 and not part.isdigit() else 0
        return found


_number_of_part = _NumberOfPart()


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


def distinct(text: str) -> set[int]:
    """The terms (by number) that occur in `text`: the keys of `count(text)`."""
    if not text.isascii():
        return set(count_words(Counter(words(text))))
    return set().union(*map(_terms_of_run.__getitem__, set(text.translate(_BLANKED).split())))


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
        if len(run) > LONGEST:
            found = tuple(term for word in words(run) for term in _numbers_of(parts(word)))
        else:  # what the line above finds, in a third of the time
            word = run.lstrip("_0123456789")
            found = _numbers_of(parts(word)) if len(word) > 1 else ()
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
