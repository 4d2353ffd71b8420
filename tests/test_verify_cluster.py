"""Failures with one cause become one card, by rules that give the same answer every time."""

import random
from pathlib import Path

from coder.values import Evidence, TestFailure, TestReport
from coder.verify.cluster import cluster
from coder.verify.plain import parse_plain

LOGS = Path(__file__).parent / "data" / "logs"


def evidence(*failures: TestFailure, **rest: tuple[str, ...]) -> Evidence:
    report = TestReport(("pytest",), "t", 1, failures=failures)
    return Evidence("failed", "t", (report,), base=(report,), **rest)


def failing(name: str, message: str, *frames: str, kind: str = "ValueError") -> TestFailure:
    trace = "".join(f'  File "{frame.split(":")[0]}", line {frame.split(":")[1]}, in f\n' for frame in frames)
    return TestFailure(name, frames[0].split(":")[0] if frames else "", 1, kind, message, trace)


def test_failures_at_one_place_are_one_card_whatever_their_values() -> None:
    inside = "/venv/lib/python3.11/site-packages/lib.py:9"
    cards = cluster(
        evidence(
            *(failing(f"t.py::test_{n}", f"bad id {n} at 0x7f{n}", f"t.py:{n}", "app.py:7", inside) for n in (1, 2, 3)),
            failing("t.py::other", "bad id 4 at 0x7f4", "t.py:40", "other.py:7"),
        )
    )
    assert [(card.title, card.tests, card.locations[0]) for card in cards] == [
        ("ValueError: bad id 1 at 0x7f1 (3 tests)", ("t.py::test_1", "t.py::test_2", "t.py::test_3"), ("app.py", 7)),
        ("ValueError: bad id 4 at 0x7f4", ("t.py::other",), ("other.py", 7)),
    ]


def test_new_failures_come_first_and_old_ones_are_called_unrelated() -> None:
    old = [failing(f"old_{n}", "old", "a.py:1") for n in range(5)]
    names = tuple(failure.name for failure in old)
    cards = cluster(evidence(*old, failing("new", "new", "b.py:1"), new_failures=("new",), preexisting=names))
    assert [(card.tests[0], card.cause) for card in cards] == [("new", "unknown"), ("old_0", "unrelated")]


def test_causes_that_rules_can_tell_are_told() -> None:
    cards = cluster(
        evidence(
            failing("a", "No module named 'x'", kind="ModuleNotFoundError"),
            failing("b", "exit code 127: coder: command not found: jest", kind=""),
            failing("c", "stopped: time", kind="TimeLimit"),
            failing("d", "one", "f.py:1"),
            flaky=("d",),
        )
    )
    assert {card.tests[0]: card.cause for card in cards} == {
        "a": "environment", "b": "environment", "c": "timeout", "d": "flaky",
    }  # fmt: skip


def test_cards_do_not_depend_on_chance() -> None:
    failures = [failing(f"t{n}", f"kind {n % 7}", f"f{n % 5}.py:{n % 3}") for n in range(200)]
    first = cluster(evidence(*failures))
    assert all(cluster(evidence(*failures)) == first for _ in range(3))
    random.Random(1).shuffle(failures)
    assert {frozenset(card.tests) for card in cluster(evidence(*failures))} == {frozenset(c.tests) for c in first}


def test_ten_thousand_lines_of_failures_become_a_few_cards() -> None:
    long = [failing(f"t.py::t{n}", f"cannot open '/data/{n}/x'", "t.py:3", "io.py:12") for n in range(2_000)]
    cards = cluster(evidence(*long))
    assert len(cards) == 1 and len(cards[0].tests) == 2_000 and len(cards[0].evidence) <= 4


def test_cards_of_recorded_logs_point_into_the_repository() -> None:
    for log in LOGS.glob("*.txt"):
        outcome = parse_plain(log.read_text())
        assert outcome
        for card in cluster(evidence(*outcome.failures)):
            assert card.title and card.source == "rules"
            assert not any("node_modules" in path or path.startswith("/usr") for path, _ in card.locations), log


def test_places_are_those_of_the_tree_where_one_is_meant_for_certain() -> None:
    trace = "  at org.junit.Assert.fail(Assert.java:8)\n  at o.A.x(A.java:3)\n  at /home/ci/work/src/b.py:7\n"
    tree = ("src/test/java/o/A.java", "b.py", "src/b.py", "one/twice.py", "two/twice.py")
    (card,) = cluster(evidence(TestFailure("x", "A.java", 3, "Error", "bad", trace)), tree)
    assert sorted(card.locations) == [("src/b.py", 7), ("src/test/java/o/A.java", 3)]
    (card,) = cluster(evidence(TestFailure("x", "", 0, "Error", "bad", "lib/c.py:9 twice.py:1\n")), tree)
    assert sorted(card.locations) == [("lib/c.py", 9), ("twice.py", 1)]
