"""The names in `screen.keys`: what people write there becomes Textual's names, or an error that says how to mend it."""

import difflib
import itertools
from collections.abc import Iterator, Mapping
from functools import cache

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, key_to_character

from coder.errors import UserError
from coder.text import visible_line
from coder.tui.keys import ALL, APP, COMMIT, COMPOSER, PICKER, PLAN, SECTIONS, TYPING, Key, shown

_WRITING = frozenset(key.id for key in (*APP, *COMPOSER, *TYPING, *PLAN, *COMMIT, *PICKER))  # where letters are text
_EVERYWHERE = tuple(key for key in APP if key.priority)
_MODIFIERS = ("ctrl", "shift", "alt", "super", "hyper", "meta")
_OTHERWISE = {"esc": "escape", "return": "enter", "del": "delete", "pgup": "pageup", "pgdn": "pagedown"}


def remapped(named: Mapping[str, str]) -> dict[str, str]:
    """The keys of each action that `named` gives others, in Textual's names.

    Raises UserError for an action that there is not, a key that there is not, a letter where letters are text, and a
    key that would do two things in one place.
    """
    keys = {id: _keys_of(id, written) for id, written in sorted(named.items())}
    for together in SECTIONS.values() if keys else ():
        _refuse_clashes((*together, *(key for key in _EVERYWHERE if key not in together)), keys)
    return keys


def _keys_of(id: str, written: str) -> str:
    if id not in ALL:
        near = difflib.get_close_matches(id, ALL, n=1)
        help = f"did you mean {near[0]}?" if near else "/help and the README list them"
        raise UserError(f"screen.keys: there is no action {visible_line(id, 60)}", help)
    names = [_name(part.strip()) for part in written.split(",")]
    for part, name in zip(written.split(","), names, strict=True):
        if not name:
            near = difflib.get_close_matches(part.strip().lower(), _names(), n=1)
            help = f"did you mean {near[0]}?" if near else "as in: a, Ctrl+A, F5, PageUp, question_mark"
            raise UserError(f"screen.keys: {id} names no key with {visible_line(part, 40) or 'nothing'}", help)
        if id in _WRITING and _character(name):
            raise UserError(
                f"screen.keys: {shown(name)} is text where {id} is used", "add Ctrl or Alt, or use F1 to F12"
            )
    return ",".join(names)


def _name(written: str) -> str:
    """Textual's name of a key as a person writes it: "Ctrl+A" is "ctrl+a", "?" is "question_mark"; "" for none."""
    *modifiers, last = written.split("+") if len(written) > 1 and not written.endswith("+") else [written]
    modifiers = [modifier.strip().lower() for modifier in modifiers]
    if len(last) == 1:
        if modifiers == ["shift"] and last.isalpha():
            return last.upper()
        (binding,) = Binding.make_bindings([Binding(last.lower() if modifiers else last, "")])
        last = binding.key
    else:
        last = _OTHERWISE.get(last.strip().lower(), last.strip().lower())
        if last not in _names() and not _character(last):
            return ""
    return "+".join([*modifiers, last]) if set(modifiers) <= set(_MODIFIERS) else ""


@cache
def _names() -> frozenset[str]:
    return frozenset({key.value.rpartition("+")[2] for key in Keys} | {*KEY_NAME_REPLACEMENTS.values()})


def _character(name: str) -> str:
    """What a key with such a name writes, "" if nothing."""
    character = key_to_character(name) or ""
    return (character if character.isprintable() else "") or (name if name in KEY_NAME_REPLACEMENTS.values() else "")


def _refuse_clashes(together: tuple[Key, ...], keys: Mapping[str, str]) -> None:
    """Two actions of one place may share a key only where they do so from the start."""
    for one, other in itertools.combinations(together, 2):
        shared = set(_now(one, keys)) & set(_now(other, keys)) - (set(_now(one, {})) & set(_now(other, {})))
        if shared:
            key = shown(min(shared))
            raise UserError(f"screen.keys: {key} is {one.id} and {other.id}", "give one of them another key")


def _now(key: Key, keys: Mapping[str, str]) -> Iterator[str]:
    return (_name(each) for each in (keys.get(key.id) or key.keys).split(","))
