"""What the model hears of a review."""

from coder.session.verdict import told
from coder.values import Comment, ReviewDecision
from tests.scripted import changed, hunk, proposal_of

SHOP = changed("shop.py", hunk("-one", "+1"), hunk("-two", "+2", start=9), hunk("-three", "+3", start=20))
TILL = changed("till.py", hunk("-old", "+new"))


def test_what_was_accepted_as_it_was_needs_no_word():
    assert told(proposal_of(TILL), ReviewDecision({"till.py": frozenset({0})})) == ""


def test_the_model_hears_exactly_what_was_rejected_what_was_changed_and_why():
    decision = ReviewDecision(
        {"shop.py": frozenset({0, 1})},
        (Comment("shop.py", 2, "three is a word"), Comment("till.py", 0, "leave it"), Comment("", -1, "be brief")),
        {("shop.py", 1): b"-two\n+II\n"},
    )
    assert told(proposal_of(SHOP, TILL), decision).split("\n")[1:] == [
        "the user says of all of it: be brief",
        "shop.py: accepted as the user changed it, so that your hunk at line 9 became:",
        "@@ -9 +9 @@",
        "-two",
        "+II",
        "shop.py: rejected, so the file still has its old lines here:",
        "@@ -20 +20 @@",
        "-three",
        "+3",
        "the user says: three is a word",
        "till.py: rejected whole (modified)",
        "the user says of the hunk at line 1: leave it",
    ]


def test_a_long_rejected_hunk_is_told_in_part():
    long = changed("a.py", hunk(*(f"+line {number}" for number in range(500))), hunk("-x", "+y", start=900))
    said = told(proposal_of(long), ReviewDecision({"a.py": frozenset({1})}))
    assert "… (461 lines more)" in said and len(said.split("\n")) < 50
