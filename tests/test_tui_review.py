"""The review as a person uses it: what their keys decide, and what never decides."""

from collections.abc import Awaitable, Callable

import pytest
from rich.color import ColorSystem

from coder.tui.theme import palette, themes
from coder.values import Comment, Proposal, ReviewDecision
from tests.screen_kit import Shown, drive
from tests.scripted import Script, changed, hunk, proposal_of, reviewing

ONE = hunk(" def price():", "-    return 1", "+    return 2")
TWO = hunk(" def tax():", "-    return 3", "+    return 4", start=40)
SHOP = changed("src/shop.py", ONE, TWO)
TILL = changed("src/till.py", hunk("-old = 1", "+new = 1"))
CI = changed(".github/workflows/ci.yml", hunk("-on: push", "+on: pull_request"), protected="it runs in CI")


def review(
    proposal: Proposal,
    act: Callable[[Shown], Awaitable[None]],
    size: tuple[int, int] = (120, 40),
    script: Script | None = None,
    toasts: bool = False,
) -> list[object]:
    """The answers that `act` gives to one review."""

    async def reviewed(screen: Shown) -> None:
        await screen.write("go")
        await screen.sees("Review")
        await screen.grace()
        await act(screen)
        await screen.until(lambda: bool(screen.session.answers), "an answer")

    session = drive(script or reviewing(proposal), reviewed, size=size, toasts=toasts)
    assert session is not None
    return session.answers


def press(*keys: str) -> Callable[[Shown], Awaitable[None]]:
    async def act(screen: Shown) -> None:
        await screen.press(*keys)

    return act


@pytest.mark.parametrize(
    ("keys", "accepted"),
    [
        (["a", "x", "x", "enter"], {"src/shop.py": {0}}),
        (["x", "a", "a", "enter"], {"src/shop.py": {1}, "src/till.py": {0}}),
        (["A", "x", "enter"], {"src/shop.py": {0, 1}}),
        (["ctrl+a", "enter"], {"src/shop.py": {0, 1}, "src/till.py": {0}}),
        (["n", "n", "a", "enter", "y"], {"src/till.py": {0}}),
        (["right_square_bracket", "a", "X", "enter"], {"src/till.py": {0}}),
        (["a", "z", "x", "a", "x", "enter"], {"src/shop.py": {1}}),
        (["X", "x", "enter"], {}),
    ],
)
def test_only_what_was_accepted_is_in_the_answer(keys: list[str], accepted: dict[str, set[int]]) -> None:
    assert review(proposal_of(SHOP, TILL), press(*keys)) == [ReviewDecision(accepted)]


def test_undecided_hunks_are_named_before_they_are_left_out() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("a", "enter")
        await screen.sees("2 hunks undecided: not applied")
        await screen.press("enter")  # the untouched answer is no
        assert not screen.session.answers
        await screen.press("enter", "y")
        await screen.sees("1 of 3 hunks accepted; the model is told")

    assert review(proposal_of(SHOP, TILL), act) == [ReviewDecision({"src/shop.py": {0}})]


def test_enter_applies_nothing_while_nothing_is_accepted() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("enter", "enter")
        assert not screen.session.answers
        await screen.press("ctrl+a", "enter")

    assert review(proposal_of(TILL), act) == [ReviewDecision({"src/till.py": {0}})]


def test_what_a_review_said_goes_with_it() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("enter")
        await screen.sees("Nothing is accepted yet")
        await screen.press("ctrl+a", "enter")
        await screen.until(lambda: bool(screen.session.answers), "an answer")
        assert len(screen.app._notifications) == 0

    review(proposal_of(TILL), act, toasts=True)


def test_leaving_asks_and_accepts_nothing() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("a", "escape", "n")
        assert not screen.session.answers
        await screen.press("escape", "y")

    assert review(proposal_of(SHOP), act) == [ReviewDecision()]


def test_keys_typed_before_the_review_appeared_do_not_decide() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("go")
        await screen.sees("Review")
        await screen.press("a", "ctrl+a", "enter", "y")
        await screen.sees("·3")  # three hunks, all undecided
        assert not screen.session.answers
        await screen.grace()
        await screen.press("x", "a", "a", "enter")

    session = drive(reviewing(proposal_of(SHOP, TILL)), act)
    assert session is not None
    assert session.answers == [ReviewDecision({"src/shop.py": {1}, "src/till.py": {0}})]


def test_keys_act_in_the_order_they_were_typed() -> None:
    async def act(screen: Shown) -> None:
        screen.send("c", "a", "x", " ", "z", "enter")
        screen.send("a", "a", "enter")

    comment = Comment("src/shop.py", 0, "ax z")
    assert review(proposal_of(SHOP, TILL), act) == [
        ReviewDecision({"src/shop.py": {1}, "src/till.py": {0}}, comments=(comment,))
    ]


def test_a_comment_rejects_the_hunk_and_goes_back() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("c")
        await screen.write("use Decimal")
        await screen.sees("▸ use Decimal")
        await screen.press("a", "enter")

    comment = Comment("src/shop.py", 0, "use Decimal")
    assert review(proposal_of(SHOP), act) == [ReviewDecision({"src/shop.py": {1}}, comments=(comment,))]


def test_a_comment_on_a_file_names_the_file() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("C")
        await screen.write("split this")
        await screen.press("a", "enter")

    comment = Comment("src/shop.py", -1, "split this")
    assert review(proposal_of(SHOP, TILL), act) == [ReviewDecision({"src/till.py": {0}}, comments=(comment,))]


def test_a_protected_file_wants_a_yes_of_its_own() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("ctrl+a")
        await screen.sees("✓1")
        assert "PROTECTED  it runs in CI" in screen.text
        await screen.press("n", "a")
        await screen.sees("Accept a change to a protected file?")
        await screen.press("n", "a", "y", "enter")

    assert review(proposal_of(TILL, CI), act) == [ReviewDecision({"src/till.py": {0}, ".github/workflows/ci.yml": {0}})]


def test_the_filter_shows_only_what_is_undecided() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("a", "n", "u")
        text = await screen.until(lambda: "def price" not in screen.text, "the filter")
        assert "new = 1" in text and "only undecided" in text
        await screen.press("u")
        assert "only undecided" not in await screen.sees("def price")
        await screen.press("ctrl+x", "enter")

    assert review(proposal_of(SHOP, TILL), act) == [ReviewDecision({"src/shop.py": {0}})]


def test_search_goes_to_the_hunk_that_holds_the_words() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("slash")
        await screen.write("NEW")
        await screen.press("a", "x", "x", "enter")

    assert review(proposal_of(SHOP, TILL), act) == [ReviewDecision({"src/till.py": {0}})]


def test_search_goes_from_line_to_line_and_marks_what_it_found() -> None:
    long = changed(
        "a.py", hunk(*(f"+value_{number} = Wanted()" if number in (50, 90) else "+pass" for number in range(99)))
    )

    async def act(screen: Shown) -> None:
        for line in ("value_50", "value_90", "value_50"):
            assert line not in screen.text
            await screen.press("slash")
            await screen.write("wanted")
            await screen.sees(line)
        strip = next(strip for strip in screen.app.screen._compositor.render_strips() if "value_50" in strip.text)
        (ground,) = {segment.style.bgcolor for segment in strip if segment.text == "Wanted" and segment.style}
        assert ground != strip._segments[-1].style.bgcolor  # type: ignore[union-attr]
        await screen.press("x", "enter")

    review(proposal_of(long), act)


def test_decisions_survive_looking_around() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("a", "pagedown", "space", "pageup", "G", "g", "w", "t", "f1", "escape", "j", "k")
        await screen.sees("✓1")
        await screen.resize(60, 20)
        await screen.resize(120, 40)
        await screen.press("ctrl+x", "enter")

    assert review(proposal_of(SHOP), act) == [ReviewDecision({"src/shop.py": {0}})]


def test_old_and_new_stand_side_by_side() -> None:
    moved = hunk(" a = 1", "-b = 2", "-c = 3", "+b = 20", " d = 4", "+e = 5")

    async def act(screen: Shown) -> None:
        await screen.press("s")
        text = await screen.until(lambda: "b = 2 " in screen.text and "b = 20" in screen.text)
        (row,) = (line for line in text.split("\n") if "b = 20" in line)
        assert row.index("b = 2 ") < row.index("│", row.index("b = 2 ")) < row.index("b = 20")
        (context,) = (line for line in text.split("\n") if "d = 4" in line)
        assert context.count("d = 4") == 2
        await screen.press("s", "a", "enter")

    assert review(proposal_of(changed("a.py", moved)), act) == [ReviewDecision({"a.py": {0}})]


@pytest.mark.parametrize("size", [(80, 24), (40, 15)])
def test_the_review_is_usable_on_a_small_screen(size: tuple[int, int]) -> None:
    async def act(screen: Shown) -> None:
        assert "return 2" in screen.text
        assert "a accept" in screen.text
        await screen.press("t")
        await screen.sees("tests passed")
        await screen.press("t", "a", "x", "enter")

    assert review(proposal_of(SHOP), act, size) == [ReviewDecision({"src/shop.py": {0}})]


def test_interrupting_the_turn_takes_the_review_off_the_screen() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("go")
        await screen.sees("Review")
        screen.app.turns.interrupt()
        await screen.sees("interrupted")
        assert len(screen.app.screen_stack) == 1

    session = drive(reviewing(proposal_of(SHOP)), act)
    assert session is not None
    assert not session.answers


def test_a_proposal_seen_again_cannot_be_decided() -> None:
    async def act(screen: Shown) -> None:
        screen.app.proposal = proposal_of(SHOP)
        await screen.write("/diff")
        await screen.sees("def price")
        await screen.press("a", "ctrl+a", "c", "enter")
        await screen.sees("✓0 ✗0 ·2")
        await screen.press("escape")
        await screen.until(lambda: len(screen.app.screen_stack) == 1)

    drive(reviewing(proposal_of(SHOP)), act)


MIXED = hunk(" a = 1", "-b = 2", "+b = 20", " c = 3", " d = 4", "-e = 5", "+e = 50", " f = 6")


def test_a_hunk_is_split_and_its_parts_decided_one_by_one() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("S")
        await screen.sees("·3")
        await screen.press("a", "c")
        await screen.write("five is enough")
        await screen.press("a", "enter")

    (answer,) = review(proposal_of(changed("a.py", MIXED), TILL), act)
    assert isinstance(answer, ReviewDecision)
    assert answer.accepted == {"a.py": {0}, "src/till.py": {0}}
    assert answer.comments == (Comment("a.py", 0, "five is enough"),)
    body = answer.edited["a.py", 0].partition(b"\n")[2]
    assert body == b" a = 1\n-b = 2\n+b = 20\n c = 3\n d = 4\n e = 5\n f = 6\n"


def test_a_split_can_be_taken_back_and_all_its_parts_are_the_hunk_again() -> None:
    assert review(proposal_of(changed("a.py", MIXED)), press("S", "z", "S", "a", "a", "enter")) == [
        ReviewDecision({"a.py": {0}})
    ]


def test_more_of_the_lines_around_a_hunk_are_shown_and_change_nothing() -> None:
    content = b"".join(b"line %d\n" % number for number in range(1, 80))
    first, second = (hunk(f" line {at}", f"-line {at + 1}", "+new", start=at) for at in (20, 40))
    script = reviewing(proposal_of(changed("a.txt", first, second)), base={"a.txt": content})

    async def act(screen: Shown) -> None:
        await screen.write("go")
        await screen.sees("line 21 ")
        await screen.grace()
        await screen.press("plus")
        text = await screen.sees("line 10 ")
        assert "line 31 " in text and "line 9 " not in text and "line 32 " not in text
        await screen.press("n", "plus", "plus")
        text = await screen.sees("line 32 ")
        assert text.count("line 31 ") == 1
        await screen.press("minus", "minus", "a", "a", "enter")
        await screen.until(lambda: bool(screen.session.answers))

    session = drive(script, act, size=(100, 70))
    assert session is not None and session.answers == [ReviewDecision({"a.txt": {0, 1}})]


def test_a_commit_has_a_message_to_edit_and_wants_something_accepted() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("m", "y", "enter")
        assert not screen.session.answers
        await screen.press("a", "m")
        await screen.sees("1 hunk undecided: not applied")
        await screen.press("escape", "x", "m")
        await screen.sees("Mend the shop")
        screen.send(" ", "n", "o", "w", "shift+enter", "o", "k", "enter")

    script = reviewing(proposal_of(SHOP), message="Mend the shop")
    assert review(proposal_of(SHOP), act, script=script) == [
        ReviewDecision({"src/shop.py": {0}}, commit_message="Mend the shop now\nok")
    ]


def test_a_comment_on_everything_sends_all_that_is_undecided_back() -> None:
    async def act(screen: Shown) -> None:
        await screen.press("a", "ctrl+t")
        await screen.write("use Decimal")
        await screen.sees("▸ use Decimal")
        await screen.press("enter")

    assert review(proposal_of(SHOP, TILL), act) == [
        ReviewDecision({"src/shop.py": {0}}, comments=(Comment("", -1, "use Decimal"),))
    ]


def test_what_only_looks_around_need_not_wait_and_what_decides_must() -> None:
    async def act(screen: Shown) -> None:
        await screen.write("go")
        await screen.sees("Review")
        await screen.press("a", "G")
        await screen.until(lambda: screen.app.screen.diff.cursor == (1, 0))  # type: ignore[attr-defined]
        assert "✓0 ✗0 ·3" in screen.text

    drive(reviewing(proposal_of(SHOP, TILL)), act)


@pytest.mark.parametrize("theme", [name for name, theme in themes().items() if not theme.ansi])
def test_added_and_removed_lines_are_told_apart_in_256_colors(theme: str) -> None:
    styles = palette(theme, "256")
    grounds = [styles.style(name).bgcolor for name in ("added", "added-word", "removed", "removed-word")]
    nearest = {ground.downgrade(ColorSystem.EIGHT_BIT).number for ground in grounds}
    assert len(nearest) == 4 and not nearest & {0, 7, 15, 16, 231}
