"""The pieces below a plan: token counts, patterns, outlines, ranking, packing, excerpts."""

import time
from pathlib import Path

import pytest

from coder.context.excerpt import best_ranges, chunks, merged, outline_text, part_text
from coder.context.facts import read_facts
from coder.context.ignore import Patterns
from coder.context.kinds import kind_of
from coder.context.outline import outline
from coder.context.pack import MOST_MISSES, Candidate, pack
from coder.context.task import read_task
from coder.context.terms import numbers, stem, terms
from coder.context.tokens import count_tokens, estimate_tokens
from coder.context.withheld import Rules, shown_text, withheld

# ── tokens ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("hello world", 2), ("<|endoftext|>", 7), ("\ud800", 1), ("caf\xe9 \u4f60\u597d", 4)]
)
def test_tokens_are_exact(text: str, tokens: int):
    assert count_tokens(text) == tokens


def test_a_run_of_a_million_spaces_does_not_panic():
    assert 0 < count_tokens(" " * 1_000_000) < 100_000
    assert count_tokens("\t\u00a0" * 500_000) > 0


def test_the_estimate_is_near_on_code():
    text = Path(__file__).read_text("utf-8")
    assert abs(estimate_tokens(text) / count_tokens(text) - 1) < 0.25


# ── what is withheld ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "path", "verdict"),
    [
        ("*.log", "a/b.log", "ignored"),
        ("/a", "b/a", ""),
        ("build/", "build/x.c", "ignored"),
        ("build/", "build", ""),
        ("a/**/z", "a/b/c/z", "ignored"),
        ("a/**/z", "a/z", "ignored"),
        ("**/b/**/*.py", "a/b/c/d.py", "ignored"),
        ("a/**", "a/b/c", "ignored"),
        ("a*b*c", "axbybzc", "ignored"),
        ("a*b*c", "a/b/c", ""),
        ("*.tar.gz", "x.tar.tar.gz", "ignored"),
        ("[!a]x", "bx", "ignored"),
        ("a[z-a]", "az", ""),
        ("!kept", "kept", "kept"),
    ],
)
def test_patterns_mean_what_they_mean_in_gitignore(pattern: str, path: str, verdict: str):
    assert Patterns([pattern]).match(path) == verdict


def test_a_hostile_pattern_is_matched_in_time():
    start = time.process_time()
    for pattern in ("*a" * 20 + "b", "**/a/" * 50 + "b", "*a/**/*a/**/" * 20 + "b", "[a]*" * 200):
        Patterns([pattern]).match("a" * 200 + "/a" * 200 + "/c")
    assert time.process_time() - start < 2


def test_the_user_can_lift_the_rule_for_one_secret_file():
    rules = Rules(exclude=["!.env"])
    assert withheld(".env", b"A=1", rules=rules) == ""
    assert withheld("b/.env.local", b"A=1", rules=rules) == "looks like a secret (by its name)"


def test_the_repository_cannot_lift_the_rule():
    assert withheld(".env", b"A=1", rules=Rules(coderignore=["!.env"])) != ""


def test_secrets_in_code_that_is_shown_are_redacted():
    assert "hunter22" not in shown_text(b"url = 'https://me:hunter22@example.com/'\n")


# ── outlines ─────────────────────────────────────────────────────────────────────────────────────

DECLARED = {
    "a.py": ("class A:\n    def f(self):\n        pass\n", ["A", "f"]),
    "a.js": ("export class A { f() {} }\nconst g = () => 1;\n", ["A", "f", "g"]),
    "a.ts": ("interface A { x: number }\nexport type B = A;\nenum C { D }\n", ["A", "x", "B", "C"]),
    "a.tsx": ("export function A() { return <b/>; }\n", ["A"]),
    "a.go": ("package a\n\ntype A struct {\n\tX int\n}\n\nfunc (a A) F() {}\n", ["A", "X", "F"]),
    "a.rs": ("struct A { x: u8 }\nimpl A { fn f(&self) {} }\n", ["A", "x", "A", "f"]),
    "A.java": ("class A { int x; void f() {} }\n", ["A", "x", "f"]),
    "a.c": ("struct A { int x; };\nint f(void) { return 1; }\n#define M 1\n", ["A", "f", "M"]),
    "a.cpp": ("namespace n { class A { void f(); }; }\n", ["n", "A", "f"]),
    "a.cs": ("class A { int X { get; set; } void F() {} }\n", ["A", "X", "F"]),
    "a.rb": ("module M\n  class A\n    def f; end\n  end\nend\n", ["M", "A", "f"]),
    "a.php": ("<?php\nclass A { function f() {} }\n", ["A", "f"]),
    "a.sh": ("f() { echo; }\n", ["f"]),
    "a.kt": ("class A {\n    fun f() = 1\n}\n", ["A", "f"]),
    "a.md": ("# One\n\ntext\n\n## Two\n", ["One", "Two"]),
    "a.toml": ("[one]\nx = 1\n[two.three]\n", ["one", "two.three"]),
}


@pytest.mark.parametrize("path", DECLARED)
def test_an_outline_has_the_declarations_of_each_language(path: str):
    text, names = DECLARED[path]
    assert [symbol.name for symbol in outline(path, text).symbols] == names


def test_broken_and_undecodable_code_has_an_outline_too():
    facts = read_facts("a.py", b"def ok():\n  pass\ndef (((\n\xff\xfe\nclass A:\n")
    assert [symbol.name for symbol in facts.outline()] == ["ok", "A"]


def test_a_long_outline_keeps_what_the_task_asks_for():
    text = "class A:\n" + "".join(f"    def method_{number}(self):\n        pass\n" for number in range(300))
    symbols = outline("a.py", text).symbols
    wanted = dict.fromkeys(numbers("method_217"), 1.0)
    shown = outline_text(symbols, wanted)
    assert "class A" in shown and "def method_217(self)" in shown and "more" in shown
    assert len(shown.splitlines()) < 90


# ── ranking, packing, excerpts ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spelled", ["fileWatcher", "file_watcher", "FileWatcher", "file-watcher"])
def test_identifiers_of_all_styles_share_their_terms(spelled: str):
    found = {term for word in spelled.split("-") for term in terms(word)}
    assert {stem("file"), stem("watch")} <= found


def test_a_task_weighs_its_first_line_more_and_common_words_less():
    weights = {term.spelled: term.weight for term in read_task("fix the parser\n\nlexer of the parser").terms}
    assert weights["parser"] > weights["lexer"] > weights["fix"]
    assert "the" not in weights


def test_kinds_follow_the_conventions_of_names():
    paths = ["src/a.py", "tests/a.py", "a_test.go", "vendor/a.go", "a.min.js", "README.md", "setup.py", "examples/a.py"]
    kinds = ["source", "test", "test", "vendored", "generated", "prose", "tooling", "example"]
    assert [kind_of(path) for path in paths] == kinds


class Shapes:
    """Outlines cost 10 tokens; nothing has a summary; the part of any file takes all it is given."""

    def outline(self, path: str, most: int) -> int:
        return 10

    def summary(self, path: str) -> int:
        return 0

    def part(self, path: str, most: int) -> int:
        return most


def test_what_does_not_fit_whole_is_shown_in_less():
    candidates = [Candidate(f"f{place}", -0.5 * place, 100, 100, 3) for place in range(60)]
    modes = pack(candidates, 2_000, Shapes())
    assert list(modes.values()).count("full") == 19
    assert list(modes.values()).count("outline") == 3
    assert "name" in modes.values()


def test_where_every_file_is_too_large_the_budget_goes_to_outlines():
    modes = pack([Candidate(f"f{place}", 0.0, 9_000, 0, 3) for place in range(60)], 2_000, Shapes())
    assert list(modes.values()).count("outline") > 20


def test_outlines_are_worked_out_no_longer_where_many_in_a_row_did_not_fit():
    class Long(Shapes):
        asked = 0

        def outline(self, path: str, most: int) -> int:
            self.asked += 1
            return 9_000

    shapes = Long()
    modes = pack([Candidate(f"f{place}", 0.0, 100, 100, 3) for place in range(600)], 20_000, shapes)
    assert (shapes.asked, "outline" in modes.values(), "name" in modes.values()) == (MOST_MISSES, False, True)


def test_the_best_file_is_shown_in_part_when_it_can_never_be_whole():
    candidates = [Candidate("giant", 9.0, 90_000, 0, 3), *(Candidate(f"f{n}", 0.0, 500, 500, 3) for n in range(90))]
    assert pack(candidates, 8_000, Shapes())["giant"] == "part"


def test_chunks_hold_every_line_once():
    symbols = outline("a.py", "".join(f"def f{number}():\n    pass\n\n" for number in range(90))).symbols
    lines = [line for first, last in chunks(symbols, 270) for line in range(first, last + 1)]
    assert lines == list(range(1, 271))
    assert chunks((), 0) == []


def test_a_part_says_which_lines_it_leaves_out():
    assert part_text("a\nb\nc\nd\n", [(2, 3)]) == "[lines 1-1 are not shown]\nb\nc\n[lines 4-4 are not shown]\n"
    assert merged([(5, 6), (1, 2), (3, 3)]) == ((1, 3), (5, 6))


def test_no_part_is_shown_where_nothing_of_the_task_is():
    assert best_ranges("a = 1\n" * 500, (), {1: 1.0}, 1_000, estimate_tokens) == ()
