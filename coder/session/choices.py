"""Settings that are chosen in the middle of a session: model and effort. Pure; the session says and records them."""

from msgspec import ValidationError, convert, structs

from coder.config import Effort, RoleSettings, Settings
from coder.errors import UserError
from coder.session.recorded import Recorded


def choose_model(settings: Settings, model: str) -> Settings:
    """`settings` with another main model, also where the role has one of its own. Raises UserError for none."""
    name = model.strip()
    if not name:
        raise UserError("no model was named", "as in: /model gpt-5.4-mini")
    return _with(settings, "model", name)


def choose_effort(settings: Settings, effort: str) -> Settings:
    """`settings` with another reasoning effort. Raises UserError for a word that is none."""
    try:
        return _with(settings, "effort", convert(effort.strip(), Effort))
    except ValidationError:
        raise UserError(f"{effort!r} is no effort", "none, low, medium, high or xhigh") from None


def as_left(settings: Settings, state: Recorded) -> Settings:
    """`settings` with what was chosen in the recorded session, unless the configuration was changed since then."""
    for key, at_first in (("model", state.model), ("effort", state.effort)):
        chosen = state.settings.get(key)
        if chosen and at_first == getattr(settings, key):
            settings = (choose_model if key == "model" else choose_effort)(settings, chosen)
    return settings


def _with(settings: Settings, key: str, value: str) -> Settings:
    own = settings.roles.get("coder", RoleSettings())
    roles = dict(settings.roles)
    if getattr(own, key):
        roles["coder"] = structs.replace(own, **{key: value})
    return structs.replace(settings, **{key: value, "roles": roles})
