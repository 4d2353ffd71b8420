"""The review of a proposal: look at every hunk, decide, and only then apply."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from coder.amounts import count
from coder.errors import CoderError
from coder.events import Review
from coder.text import visible_line
from coder.tui.commit import CommitScreen
from coder.tui.confirm import Confirm
from coder.tui.foot_line import FootLine
from coder.tui.grace import Grace
from coder.tui.keys import REVIEW, bindings, hint
from coder.tui.review.decisions import EVERYTHING, Decisions, Mark, Place
from coder.tui.review.diff_text import FileText
from coder.tui.review.diff_view import DiffView
from coder.tui.review.editing import edit_in_editor, edited_hunks
from coder.tui.review.file_list import FileList
from coder.tui.review.heading import HINTS, READ_HINTS, Title, evidence
from coder.tui.row import RowsView
from coder.tui.status import Hints
from coder.values import ReviewDecision

if TYPE_CHECKING:
    from coder.tui.app import CoderApp

# What changes a decision; all else is for looking.
DECIDING = {"decide", "decide_file", "decide_all", "take_back", "split", "apply", "commit"}
DECIDING |= {"comment", "comment_file", "comment_all", "edit", "edit_file", "edit_all"}


class ReviewScreen(Screen[ReviewDecision]):
    """Answers with what was accepted. Leaving answers with nothing accepted. Read only, it answers nothing."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(REVIEW)

    def __init__(self, question: Review, read_only: bool = False) -> None:
        super().__init__(id="review")
        self.grace = None if read_only else Grace()
        self.read_only = read_only
        self.decisions = Decisions(question.proposal)
        self._message = question.message
        self._again = question.again
        self._texts = [FileText(file, question.base) for file in question.proposal.files]
        self._title, self._files = Title(self.decisions), FileList(self.decisions, self._texts)
        self.diff = DiffView(self._texts, self.decisions)
        self._line = FootLine(self._take_line)
        self._commented: Place | None = None
        self._confirmed: set[int] = set()
        self._found = ""

    def compose(self) -> ComposeResult:
        yield self._title
        with Horizontal(id="review-body"):
            with Vertical(id="aside"):
                yield self._files
                yield RowsView(partial(evidence, self.decisions.proposal), id="evidence")
            yield self.diff
        yield self._line
        yield Hints(self._hints())

    def on_mount(self) -> None:
        self.set_focus(self.diff)
        if self._again:
            self.notify("Files changed meanwhile: this is the change on what is there now.", markup=False)
        self.call_after_refresh(self._start_grace)

    def _start_grace(self) -> None:
        """Nobody has read a change before its first lines were painted."""
        if self.grace is not None and self.diff.painted:
            self.grace.start()
        elif self.grace is not None:
            self.set_timer(0.05, self._start_grace)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self.read_only and action in DECIDING)

    def _hints(self) -> list[tuple[str, str]]:
        remapped = cast("CoderApp", self.app).keys
        return [hint(ids, words, remapped) for ids, words in (READ_HINTS if self.read_only else HINTS)]

    # ── deciding ──

    def action_decide(self, mark: Mark) -> None:
        self._decide([self.diff.cursor], mark)

    def action_decide_file(self, mark: Mark) -> None:
        self._decide(self.decisions.places(self.diff.cursor[0]), mark)

    def action_decide_all(self, mark: Mark) -> None:
        """Everything undecided. Protected files want a yes of their own and stay as they are."""
        files = self.decisions.files
        places = [place for place in self.decisions.places() if self.decisions.mark(place) == "undecided"]
        if mark == "accepted":
            kept = [place for place in places if files[place[0]].protected]
            places = [place for place in places if place not in kept]
            if kept:
                self.notify("Protected files are accepted one by one.", markup=False)
        self._decide(places, mark)

    def _decide(self, places: list[Place], mark: Mark) -> None:
        if not places:
            return
        file = places[0][0]
        protected = self.decisions.files[file].protected
        if mark == "accepted" and protected and file not in self._confirmed:
            self._ask_protected(file, protected, places)
            return
        self.decisions.decide(places, mark)
        self._changed(places[-1])

    def _ask_protected(self, file: int, why: str, places: list[Place]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._confirmed.add(file)
                self._decide(places, "accepted")

        path = visible_line(self.decisions.files[file].path)
        words = [(path, "accent"), (why, "warn"), ("A change here can run code or change what is checked.", "muted")]
        self.app.push_screen(Confirm("Accept a change to a protected file?", words, "Accept", "No"), answered)

    def _changed(self, place: Place) -> None:
        """Redraw after a decision, and go to what is next."""
        following = self.decisions.undecided_after(place)
        if self.diff.undecided_only:
            self.diff.lay_out()
        self.diff.redraw()
        if following is not None:
            self.diff.go(following)
        self._refresh()

    def action_edit(self) -> None:
        self._edit([self.diff.cursor])

    def action_edit_file(self) -> None:
        self._edit(self.decisions.places(self.diff.cursor[0]))

    def action_edit_all(self) -> None:
        files = self.decisions.files
        self._edit([place for place in self.decisions.places() if not files[place[0]].protected])

    def _edit(self, places: list[Place]) -> None:
        """Hunks in the user's editor; what comes back must still fit the files."""
        files = self.decisions.files
        places = [(number, hunk) for number, hunk in places if hunk < len(files[number].hunks)]
        if not places:
            return
        if any(files[number].protected and number not in self._confirmed for number, _ in places):
            self.notify("Accept the protected file first.", markup=False)
            return
        edited = edit_in_editor(self.app, self._texts, places)
        if edited:
            self.decisions.edit(edited)
            self._rewrite()
            self._changed(max(edited))

    def action_split(self) -> None:
        """The hunk's changes one by one."""
        place = self.diff.cursor
        if self.decisions.split(place) == 1:
            self.notify("This hunk cannot be split further.", markup=False)
            return
        self._rewrite()
        self.diff.go(place)
        self._refresh()

    def _rewrite(self) -> None:
        """Show the hunks as they were split and edited."""
        for at, (text, file) in enumerate(zip(self._texts, self.decisions.files, strict=True)):
            text.rewrite(file, edited_hunks(file, at, self.decisions.edits))
        self.diff.rewritten()

    def action_take_back(self) -> None:
        before = self.decisions.files, self.decisions.edits
        place = self.decisions.take_back()
        if place is None:
            return
        if before != (self.decisions.files, self.decisions.edits):
            self._rewrite()
        self.diff.lay_out()
        self.diff.go((max(0, place[0]), max(0, place[1])))
        self._refresh()

    def _refresh(self) -> None:
        self._title.refresh()
        self._files.show(self.diff.cursor[0])

    # ── looking ──

    def on_diff_view_moved(self, message: DiffView.Moved) -> None:
        self._files.show(message.place[0])

    def on_file_list_chosen(self, message: FileList.Chosen) -> None:
        self.diff.go((message.number, 0))

    def action_step(self, by: int) -> None:
        self.diff.step(by)

    def action_step_file(self, by: int) -> None:
        self.diff.step_file(by)

    def action_edge(self, last: bool) -> None:
        places = self.decisions.places()
        if places:
            self.diff.go(places[-1 if last else 0])

    def action_scroll(self, rows: int) -> None:
        page = max(1, self.diff.size.height - 2)
        self.diff.scroll_rows(rows if abs(rows) == 1 else page if rows > 0 else -page)

    def action_filter(self) -> None:
        self.diff.undecided_only = self._title.undecided_only = not self.diff.undecided_only
        self.diff.lay_out()
        self._title.refresh()

    def action_widen(self, by: int) -> None:
        try:
            if not self.diff.widen(by):
                self.notify(
                    "There are no more lines to show here." if by > 0 else "Nothing more is shown.", markup=False
                )
        except CoderError as error:  # the tree that the proposal began with may be gone
            self.notify(visible_line(error.message), markup=False)

    def action_whole(self) -> None:
        self.diff.whole = not self.diff.whole
        self.diff.lay_out()

    def action_beside(self) -> None:
        if not self.diff.turn_beside():
            self.notify("There is no room for two sides here.", markup=False)

    def action_aside(self) -> None:
        self.toggle_class("-aside")

    def action_help(self) -> None:
        from coder.tui.help import HelpScreen

        self.app.push_screen(HelpScreen("Review"))

    # ── the line at the foot: a comment or a search ──

    def action_comment(self) -> None:
        self._comment(self.diff.cursor, "in this hunk")

    def action_comment_file(self) -> None:
        self._comment((self.diff.cursor[0], -1), "in this file")

    def action_comment_all(self) -> None:
        self._comment(EVERYTHING, "in all of it")

    def _comment(self, place: Place, where: str) -> None:
        self._commented = place
        self._open_line(f"What should be different {where}?", self.decisions.comment(place))

    def action_search(self) -> None:
        self._commented = None
        self._open_line("Search paths and lines", self._found, again=True)

    def _open_line(self, placeholder: str, value: str, *, again: bool = False) -> None:
        self._line.open(placeholder, value, again=again)
        leave = hint(["review.leave"], "drop", cast("CoderApp", self.app).keys)
        self.query_one(Hints).show([("Enter", "keep"), leave])

    def _close_line(self) -> None:
        self._line.display = False
        self.query_one(Hints).show(self._hints())
        self.set_focus(self.diff)

    def _take_line(self, text: str) -> None:
        """What was written at the foot is a comment or a search."""
        self._close_line()
        if self._commented is not None:
            before = self.decisions.tally()
            self.decisions.remark(self._commented, text.strip())
            self.diff.lay_out()
            if self.decisions.tally() != before:  # it also rejected something: go on as after any decision
                self._changed(self.diff.cursor)
            self._refresh()
        else:
            self._found = text
            if not self.diff.find(text) and text:
                self.notify("Nothing found.", markup=False)

    # ── ending ──

    def action_apply(self) -> None:
        """Apply what is accepted; what is undecided is named first, and not applied."""
        tally = self.decisions.tally()
        if tally.undecided and not tally.accepted:
            self._say_nothing_accepted()
        elif tally.undecided:
            title = f"Apply {count(tally.accepted, 'hunk')}?"
            self.app.push_screen(Confirm(title, [(self._left_out(), "text")], "Apply", "Back"), self._finish_if)
        else:
            self._finish_if(True)

    def action_commit(self) -> None:
        """Apply what is accepted, then commit it with a message."""
        tally = self.decisions.tally()
        if not tally.accepted:
            self._say_nothing_accepted()
            return
        words = [(f"{count(tally.accepted, 'hunk')} will be applied and committed, and nothing else.", "muted")]
        if tally.undecided:
            words.append((self._left_out(), "warn"))
        self.app.push_screen(CommitScreen(words, self._message), self._finish_with)

    def _say_nothing_accepted(self) -> None:
        remapped = cast("CoderApp", self.app).keys
        (one, _), (all_, _) = hint(["review.accept"], "", remapped), hint(["review.accept_all"], "", remapped)
        self.notify(f"Nothing is accepted yet: {one} takes this hunk, {all_} everything.", markup=False)

    def _left_out(self) -> str:
        return f"{count(self.decisions.tally().undecided, 'hunk')} undecided: not applied, and the model is told so."

    def _finish_with(self, message: str | None) -> None:
        if message:
            self.dismiss(self.decisions.answer(message))

    def action_leave(self) -> None:
        if self._line.display:
            self._close_line()
        elif self.read_only:
            self.dismiss(None)
        else:
            said = "Nothing is written. The draft and its patch stay in the session's record."
            if self.decisions.answer().comments:
                said += " Your comments go back to the model."
            words = [(said, "muted")]
            self.app.push_screen(Confirm("Leave without applying anything?", words, "Leave", "Back"), self._leave_if)

    def _finish_if(self, yes: bool | None) -> None:
        if yes:
            self.dismiss(self.decisions.answer())

    def _leave_if(self, yes: bool | None) -> None:
        if yes:
            places = [place for place in self.decisions.places() if self.decisions.mark(place) == "accepted"]
            if places:
                self.decisions.decide(places, "rejected")
            self.dismiss(self.decisions.answer())
