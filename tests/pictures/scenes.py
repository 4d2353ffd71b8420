"""What is on the pictures: each scene sets a screen up and brings it to the state that is drawn."""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from msgspec import structs

from coder.events import (
    Applied,
    ApproveCommand,
    ContextPlanned,
    EvidenceReady,
    ProposalReady,
    ReplyFinished,
    ToolFinished,
    ToolStarted,
    UsageRecorded,
)
from coder.tui.door import ScreenOptions, TrustQuestion
from coder.values import (
    Checkpoint,
    ContextEntry,
    ContextPlan,
    Evidence,
    TestFailure,
    TestReport,
    TriageCard,
    Usage,
    Withheld,
)
from tests.pictures.draw import svg_of
from tests.screen_kit import PLAIN, Shown, drive
from tests.scripted import Script, changed, hunk, proposal_of, reviewing, telling

PLACE = Path(__file__).parent
VERSIONS = PLACE / "drawn-with.txt"
DARK = structs.replace(PLAIN, still=True)
LIGHT = structs.replace(DARK, theme="coder-light")

PRICES = changed(
    "shop/prices.py",
    hunk(
        "-from math import floor",
        "+from decimal import ROUND_HALF_UP, Decimal",
        " ",
        " ",
        start=3,
    ),
    hunk(
        " def total(items: list[Item], rate: float) -> Decimal:",
        '     """What a basket costs, tax included."""',
        "-    net = sum(item.price for item in items)",
        "-    return floor(net * (1 + rate) * 100) / 100",
        "+    net = sum((item.price for item in items), Decimal(0))",
        '+    return (net * (1 + rate)).quantize(Decimal("0.01"), ROUND_HALF_UP)',
        " ",
        " ",
        " class Basket:",
        start=17,
        section="def total(items):",
    ),
)
TEST = changed(
    "tests/test_prices.py",
    hunk(
        " def test_half_a_cent_is_rounded_up():",
        "-    assert total([Item(0.125)], 0) == 0.12",
        '+    assert total([Item(Decimal("0.125"))], 0) == Decimal("0.13")',
        '+    assert label("Bröt\u200bchen") == "Brötchen"  # 値段',
        start=30,
    ),
)
CI = changed(
    ".github/workflows/test.yml",
    hunk(" jobs:", "-  test:", "+  tests:", "     runs-on: ubuntu-latest", start=4),
    protected="it runs in CI",
)
FAILED = Evidence(
    "failed",
    "t2",
    (
        TestReport(
            ("python", "-m", "pytest", "-q"),
            "t2",
            1,
            41,
            40,
            1,
            failures=(TestFailure("tests/test_prices.py::test_label", "tests/test_prices.py", 52),),
            duration_s=1.8,
            sandbox="bubblewrap",
        ),
    ),
    new_failures=("tests/test_prices.py::test_label",),
    fixed=("tests/test_prices.py::test_half_a_cent_is_rounded_up",),
)
CARD = TriageCard(
    "label() still cuts at 8 characters",
    ("tests/test_prices.py::test_label",),
    "change",
    0.8,
    (("shop/prices.py", 40),),
    (),
    "Let label() count what is seen, not code points.",
    "model",
)
PROPOSAL = structs.replace(
    proposal_of(PRICES, TEST, CI),
    evidence=FAILED,
    triage=(CARD,),
    summary="Prices are decimals now, and half a cent is rounded up.",
    warnings=("the change edits what tests it: tests/test_prices.py",),
)
PASSED = Evidence(
    "passed", "t2", (TestReport(("python", "-m", "pytest", "-q"), "t2", 0, 41, 41, duration_s=1.8),), fixed=("test_a",)
)
REPLY = """Half a cent was lost because the prices were **floats**. They are decimals now:

```python
net = sum((item.price for item in items), Decimal(0))
```

- `total()` rounds half up, as the invoice does
- the test says so, for `0.125`
"""
PLAN = ContextPlan(
    128_000,
    41_200,
    (
        ContextEntry("shop/prices.py", "full", 1_240, ("named in the task",)),
        ContextEntry("tests/test_prices.py", "full", 980, ("tests it",)),
        ContextEntry("shop/basket.py", "part", 610, ("uses total",)),
        ContextEntry("shop/invoice.py", "outline", 220, ("imports it",)),
        ContextEntry("README.md", "summary", 90, ()),
        ContextEntry("docs/history.md", "name", 8, ()),
    ),
    (Withheld(".env", "may hold secrets"),),
    0.031,
    0.0034,
)
SPENT = Usage("coder", "gpt-5.4-mini", 1, 61_000, 41_000, 1_200, 2_300, 0.0241)
TURN = telling(
    ContextPlanned(PLAN),
    ToolStarted("1", "read_files", "shop/prices.py, tests/test_prices.py"),
    ToolFinished("1", "read_files", True, "2 files, 96 lines"),
    ToolStarted("2", "apply_patch", "shop/prices.py"),
    ToolFinished("2", "apply_patch", True, "2 files, +4 −3"),
    ReplyFinished(REPLY),
    EvidenceReady(PASSED, ()),
    UsageRecorded(SPENT, 0.0241),
    ProposalReady(structs.replace(PROPOSAL, evidence=PASSED, triage=())),
    Applied(Checkpoint("k1", 0.0, "the change", ()), ("shop/prices.py", "tests/test_prices.py")),
)
TASK = "Round half a cent up in shop/prices.py"
TRUST = TrustQuestion("/home/ada/shop", ("the rules in AGENTS.md", 'the test command "pytest -q"'), lambda: None)
BASE = "\n".join(f"# line {number}" for number in range(1, 60)).encode()


@dataclass(frozen=True)
class Scene:
    """A screen of `size` over `script`; `act` brings it to what is drawn."""

    size: tuple[int, int]
    act: Callable[[Shown], Awaitable[None]]
    script: Script = TURN
    options: ScreenOptions = DARK
    colourless: bool = False


async def nothing(screen: Shown) -> None:
    await screen.sees("Describe a change")


async def a_turn(screen: Shown) -> None:
    await screen.write(TASK)
    await screen.sees("applied")
    await screen.press(*["pageup"] * 6, *["pagedown"] * 6)  # what was never in sight has an estimated height


async def a_panel(screen: Shown) -> None:
    await a_turn(screen)
    await screen.press("f2")
    await screen.sees("tokens")


def review(*keys: str, wait: str = "prices.py") -> Callable[[Shown], Awaitable[None]]:
    async def act(screen: Shown) -> None:
        await screen.write("go")
        await screen.sees("Review")
        await screen.sees(wait)
        await screen.grace()
        await screen.press(*keys)

    return act


async def a_comment(screen: Shown) -> None:
    await review("a", "c")(screen)
    await screen.write("keep the float for the shop's old API")
    await screen.sees("✗1")


async def a_commit(screen: Shown) -> None:
    await review("a", "a", "a", "m")(screen)
    await screen.sees("Commit")


async def a_question(screen: Shown) -> None:
    await screen.write("go")
    await screen.sees("May this command run?")


async def asks_to_trust(screen: Shown) -> None:
    await screen.sees("Do you trust")


ASKING: Script = lambda session, task: session.question(  # noqa: E731
    ApproveCommand((("python", "-m", "pytest", "-q"),), "detected: pyproject.toml", "bubblewrap")
)
REVIEWING = reviewing(PROPOSAL, {"shop/prices.py": BASE}, "Round half a cent up")
SCENES = {
    "start": Scene((90, 24), nothing),
    "turn": Scene((100, 32), a_turn),
    "turn-light": Scene((80, 24), a_turn, options=LIGHT),
    "turn-40x15": Scene((40, 15), a_turn),
    "context": Scene((110, 26), a_panel),
    "review": Scene((120, 36), a_comment, REVIEWING),
    "review-light": Scene((110, 32), a_comment, REVIEWING, LIGHT),
    "review-beside": Scene((130, 26), review("n", "s", "t", "plus"), REVIEWING),
    "review-80x24": Scene((80, 24), review("S", "n"), REVIEWING),
    "review-40x15": Scene((40, 15), review("G", wait="Review"), REVIEWING),
    "review-no-color": Scene((80, 24), review("a", "x"), REVIEWING, colourless=True),
    "commit": Scene((90, 26), a_commit, REVIEWING),
    "approve": Scene((80, 24), a_question, ASKING),
    "trust": Scene((80, 24), asks_to_trust, options=structs.replace(DARK, trust=TRUST)),
}


def picture(name: str) -> str:
    """The scene as SVG; the same bytes each time."""
    scene, drawn = SCENES[name], list[str]()

    async def act(screen: Shown) -> None:
        await scene.act(screen)
        await screen.settled()
        drawn.append(svg_of(screen.app, dark=scene.options is not LIGHT))
        screen.app.exit(0)

    with _colours(not scene.colourless):
        drive(scene.script, act, size=scene.size, options=scene.options)
    return drawn[0]


def versions() -> str:
    """What a picture depends on beside coder: layout, cell widths and syntax colours come from these."""
    return "".join(f"{name} {version(name)}\n" for name in ("textual", "rich", "pygments"))


@contextmanager
def _colours(wanted: bool) -> Iterator[None]:
    before = os.environ.pop("NO_COLOR", None)
    if not wanted:
        os.environ["NO_COLOR"] = "1"
    try:
        yield
    finally:
        os.environ.pop("NO_COLOR", None)
        if before is not None:
            os.environ["NO_COLOR"] = before
