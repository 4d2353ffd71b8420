"""The keys: one table for what they do, the hints at the foot, the help and the names in `screen.keys`.

Textual runs a binding only after keys typed later may have reached the widget; `run_bound` keeps the order.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget


class Key(Struct, frozen=True):
    """`id` names it in the configuration, `keys` are Textual's names, comma between them; `words` are for the help."""

    id: str
    keys: str
    action: str
    words: str
    priority: bool = False


def _scrolling(screen: str) -> tuple[Key, ...]:
    """Of a box whose words may be longer than it is high."""
    return (
        Key(f"{screen}.up", "up", "scroll(-1)", "scroll a line up"),
        Key(f"{screen}.down", "down", "scroll(1)", "scroll a line down"),
        Key(f"{screen}.page_up", "pageup", "scroll(-10)", "scroll up"),
        Key(f"{screen}.page_down", "pagedown", "scroll(10)", "scroll down"),
    )


APP = (
    Key("app.interrupt", "escape", "interrupt", "interrupt the turn; what was done stays in the conversation"),
    Key("app.copy", "ctrl+c", "copy_or_quit", "copy, else clear, else interrupt, else quit at the second press", True),
    Key("app.quit", "ctrl+q", "quit", "quit", True),
    Key("app.leave", "ctrl+d", "quit_if_empty", "quit when nothing is written", True),
    Key("app.suspend", "ctrl+z", "suspend_process", "suspend", True),
    Key("app.unfold", "ctrl+o", "unfold", "fold or unfold details; a click does one", True),
    Key("app.palette", "ctrl+p", "command_palette", "command palette", True),
    Key("app.help", "f1", "command('help')", "this help"),
    Key("app.panel", "f2", "panel", "next side panel: context, plan, tests, agents, cost"),
)
COMPOSER = (
    Key("composer.past", "ctrl+r", "past", "search what you asked before"),
    Key("composer.editor", "ctrl+g", "editor", "write in $EDITOR"),
    Key("composer.steer", "ctrl+s", "steer", "say it to the running turn, instead of queueing it"),
    Key("composer.page_up", "pageup", "app.page(-0.9)", "scroll the conversation up"),
    Key("composer.page_down", "pagedown", "app.page(0.9)", "scroll the conversation down"),
    Key("composer.end", "ctrl+end", "app.page_end", "scroll to its end"),
)
TYPING = (
    Key("composer.send", "enter", "", "send; while a turn runs, queue"),
    Key("composer.newline", "ctrl+j,alt+enter,shift+enter", "", "new line"),
    Key("composer.older", "up", "", "what you asked before; in a list, the one above"),
    Key("composer.newer", "down", "", "what you asked after it; in a list, the one below"),
    Key("composer.complete", "tab", "", "complete what is offered"),
)
PLAN = (
    Key("plan.go", "ctrl+s", "decide('go')", "carry the plan out, as it is written now", True),
    Key("plan.revise", "ctrl+r", "decide('revise')", "send it back: the model works in what you wrote into it", True),
    Key("plan.editor", "ctrl+g", "editor", "write in $EDITOR", True),
    Key("plan.later", "escape", "decide('later')", "keep it for later; /go carries it out", True),
)
PANEL = (
    Key("panel.up", "up,k", "mark(-1)", "mark the file above"),
    Key("panel.down", "down,j", "mark(1)", "mark the file below"),
    Key("panel.page_up", "pageup", "scroll_page(-1)", "scroll up"),
    Key("panel.page_down", "pagedown", "scroll_page(1)", "scroll down"),
    Key("panel.pin", "p", "choose('pin')", "show the marked file in full from now on"),
    Key("panel.drop", "d", "choose('drop')", "leave the marked file out"),
    Key("panel.next", "tab,right", "next_page", "next panel"),
)
REVIEW = (
    Key("review.accept", "a", "decide('accepted')", "accept this hunk"),
    Key("review.reject", "x", "decide('rejected')", "reject this hunk"),
    Key("review.accept_file", "A", "decide_file('accepted')", "accept this file"),
    Key("review.reject_file", "X", "decide_file('rejected')", "reject this file"),
    Key("review.accept_all", "ctrl+a", "decide_all('accepted')", "accept what is undecided, but for protected files"),
    Key("review.reject_all", "ctrl+x", "decide_all('rejected')", "reject what is undecided"),
    Key("review.take_back", "z", "take_back", "take the last decision back"),
    Key("review.comment", "c", "comment", "comment on this hunk; it goes back to the model"),
    Key("review.comment_file", "C", "comment_file", "comment on this file"),
    Key("review.comment_all", "ctrl+t", "comment_all", "comment on the whole proposal"),
    Key("review.edit", "e", "edit", "edit this hunk in $EDITOR; what you save is accepted"),
    Key("review.edit_file", "E", "edit_file", "edit this file's hunks in $EDITOR"),
    Key("review.edit_all", "ctrl+e", "edit_all", "edit all hunks in $EDITOR, but those of protected files"),
    Key("review.split", "S", "split", "split this hunk into smaller ones"),
    Key("review.next", "n", "step(1)", "next hunk"),
    Key("review.previous", "p,N", "step(-1)", "previous hunk"),
    Key("review.next_file", "],tab", "step_file(1)", "next file"),
    Key("review.previous_file", "[,shift+tab", "step_file(-1)", "previous file"),
    Key("review.first", "home,g", "edge(False)", "first hunk"),
    Key("review.last", "end,G", "edge(True)", "last hunk"),
    Key("review.down", "j,down", "scroll(1)", "scroll a line down"),
    Key("review.up", "k,up", "scroll(-1)", "scroll a line up"),
    Key("review.page_down", "pagedown,space", "scroll(20)", "scroll a page down"),
    Key("review.page_up", "pageup", "scroll(-20)", "scroll a page up"),
    Key("review.more", "+,=", "widen(10)", "more of the lines around this hunk"),
    Key("review.fewer", "-", "widen(-10)", "fewer of them"),
    Key("review.undecided", "u", "filter", "only undecided hunks"),
    Key("review.search", "/", "search", "search paths and lines, and again for the next"),
    Key("review.beside", "s", "beside", "old and new side by side, and back"),
    Key("review.whole", "w", "whole", "long lines in full"),
    Key("review.aside", "t", "aside", "show or hide the files and the evidence"),
    Key("review.help", "?,f1", "help", "this help"),
    Key("review.apply", "enter", "apply", "apply what is accepted"),
    Key("review.commit", "m", "commit", "apply what is accepted and commit it, with a message you can edit"),
    Key("review.leave", "escape,q", "leave", "leave without applying"),
)
COMMIT = (
    Key("commit.make", "enter", "", "commit with this message"),
    Key("commit.newline", "ctrl+j,alt+enter,shift+enter", "", "new line"),
    Key("commit.editor", "ctrl+g", "editor", "write in $EDITOR"),
    Key("commit.back", "escape,ctrl+c", "back", "back, without a commit", True),
)
APPROVE = (
    Key("approve.no", "n", "answer('no')", "no"),
    Key("approve.once", "o", "answer('once')", "once"),
    Key("approve.session", "y", "answer('session')", "in this session, for exactly these words"),
    Key("approve.always", "a", "answer('always')", "always, for exactly these words"),
    Key("approve.because", "r", "answer('because')", "no, with a reason that the model is told"),
    Key("approve.back", "escape,ctrl+c", "back", "no; from the reason, back", True),
    Key("approve.left", "left,shift+tab", "move(-1)", "mark the answer before"),
    Key("approve.right", "right,tab", "move(1)", "mark the next answer"),
    Key("approve.take", "enter", "take", "give the marked answer"),
    *_scrolling("approve"),
)
CONFIRM = (
    Key("confirm.yes", "y", "answer(True)", "yes"),
    Key("confirm.no", "n,escape,ctrl+c", "answer(False)", "no", True),
    Key("confirm.switch", "left,right,tab,shift+tab", "switch", "mark the other answer"),
    Key("confirm.take", "enter", "take", "give the marked answer"),
    *_scrolling("confirm"),
)
PICKER = (
    Key("picker.take", "enter", "take", "choose what is marked"),
    Key("picker.leave", "escape,ctrl+c", "leave", "leave the list", True),
    Key("picker.up", "up,ctrl+p", "move(-1)", "mark the one above", True),
    Key("picker.down", "down,ctrl+n", "move(1)", "mark the one below", True),
    Key("picker.page_up", "pageup", "move(-10)", "ten up"),
    Key("picker.page_down", "pagedown", "move(10)", "ten down"),
    Key("picker.erase", "backspace", "erase", "erase the last letter of what narrows the list"),
)
HELP = (
    Key("help.close", "escape,q,f1,enter", "dismiss", "close the help"),
    Key("help.up", "up,k", "scroll(-1)", "scroll a line up"),
    Key("help.down", "down,j", "scroll(1)", "scroll a line down"),
    Key("help.page_up", "pageup", "scroll(-10)", "scroll up"),
    Key("help.page_down", "pagedown,space", "scroll(10)", "scroll down"),
)
SECTIONS: Mapping[str, tuple[Key, ...]] = {
    "Conversation": (*TYPING, *COMPOSER, *APP),
    "Review": REVIEW,
    "Commit": COMMIT,
    "Plan": PLAN,
    "Side panels": PANEL,
    "May a command run?": APPROVE,
    "Other questions": CONFIRM,
    "Lists": PICKER,
    "Help": HELP,
}
ALL = {key.id: key for keys in SECTIONS.values() for key in keys}

_SHOWN = {
    "escape": "Esc",
    "pageup": "PageUp",
    "pagedown": "PageDown",
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """What Textual binds."""
    return [Binding(key.keys, key.action, key.words, priority=key.priority, id=key.id) for key in keys]


def shown(keys: str) -> str:
    """Keys as people write them: "ctrl+a,question_mark" is "Ctrl+A, ?"."""
    return ", ".join(_shown(key.strip()) for key in keys.split(",") if key.strip())


def _shown(key: str) -> str:
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    last = _SHOWN.get(last, last.upper() if modifiers and len(last) == 1 else last)
    names = [*modifiers, last]
    return "+".join(name[0].upper() + name[1:] if len(name) > 1 else name for name in names)


def hint(ids: Sequence[str], words: str, remapped: Mapping[str, str]) -> tuple[str, str]:
    """A hint for the foot: the first key of each action, and what they do."""
    first = [shown((remapped.get(id) or ALL[id].keys).split(",")[0]) for id in ids]
    return "/".join(first), words


def foot_hints(running: bool, remapped: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the keys of the conversation do, with and without a turn that runs."""
    panels, unfold = hint(["app.panel"], "panels", remapped), hint(["app.unfold"], "unfold", remapped)
    help = hint(["app.help"], "help", remapped)
    steer = hint(["composer.steer"], "steer", remapped)
    if running:
        queue = hint(["composer.send"], "queue", remapped)
        return [hint(["app.interrupt"], "interrupt", remapped), queue, steer, panels, unfold, help]
    return [
        hint(["composer.send"], "send", remapped),
        ("/", "commands"),
        help,
        panels,
        hint(["app.quit"], "quit", remapped),
        unfold,
    ]


def by_key(keys: Iterable[Key], remapped: Mapping[str, str]) -> dict[str, str]:
    """The id of what each key does, for a widget that looks at its keys itself."""
    return {name: key.id for key in keys for name in (remapped.get(key.id) or key.keys).split(",")}


async def run_bound(widget: Widget, event: events.Key) -> bool:
    """Run what a widget that takes text binds to the key, if anything, between the characters before and after it."""
    active = None if event.is_printable else widget.screen.active_bindings.get(event.key)
    if active is None or active.node is not widget or not active.enabled:
        return False
    event.prevent_default()
    event.stop()
    await widget.run_action(active.binding.action)
    return True
