"""The profile for macOS, read as its language is: what it would decide, rule by rule, the last that fits counting."""

import os
import re
from pathlib import Path

import pytest

from coder.sandbox import View, layout, orders, scene, seatbelt
from tests import sandbox_kit as kit

TOKEN = re.compile(r'#?"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+')


class Profile:
    """Rules as nested lists, parameters filled in."""

    def __init__(self, words: list[str]) -> None:
        self.parameters = dict(word.split("=", 1) for flag, word in zip(words[3::2], words[4::2], strict=True))
        assert words[:2] == ["/usr/bin/sandbox-exec", "-p"] and set(words[3::2]) <= {"-D"}
        tokens = iter(TOKEN.findall(f"({words[2]})"))
        assert next(tokens) == "("
        self.rules = self._list(tokens)
        assert next(tokens, None) is None
        assert "".join(TOKEN.findall(words[2])) == re.sub(r"\s", "", words[2])

    def _list(self, tokens):  # type: ignore[no-untyped-def]
        items = []
        for token in tokens:
            if token == ")":
                return items
            items.append(self._list(tokens) if token == "(" else token)
        raise AssertionError("a list is not closed")

    def allows(self, operation: str, path: str) -> bool:
        decided = False
        for verb, *rest in self.rules[2:]:
            operations = [word for word in rest if isinstance(word, str)]
            filters = [item for item in rest if isinstance(item, list)]
            fits = any(re.fullmatch(word.replace("*", ".*"), operation) for word in operations)
            if verb in ("allow", "deny") and fits and (not filters or any(self._fits(item, path) for item in filters)):
                decided = verb == "allow"
        return decided

    def _fits(self, item: list, path: str) -> bool:  # type: ignore[type-arg]
        match item:
            case ["subpath", ["param", name]]:
                top = self.parameters[name.strip('"')]
                return path == top or path.startswith(f"{top}/")
            case ["literal", ["param", name]]:
                return path == self.parameters[name.strip('"')]
            case ["literal", name]:
                return path == name.strip('"')
            case ["regex", pattern]:
                return bool(re.search(pattern.removeprefix('#"').removesuffix('"'), path))
        return False


@pytest.fixture
def laid(tmp_path: Path) -> scene.Scene:
    home, run = tmp_path / "home", tmp_path / "run"
    for path in (run, home / ".pyenv" / "bin", tmp_path / "elsewhere"):
        path.mkdir(parents=True)
    (home / ".ssh").mkdir()
    root = kit.repository(home / 'my "code" (1)')
    (root / "node_modules").mkdir()
    (root / ".env").write_text("secret")
    (tmp_path / "link").symlink_to(run)
    environ = {"HOME": str(home), "PATH": f"{home}/.pyenv/bin:/usr/bin"}
    seen = layout.plan(str(root), environ, [str(tmp_path / "state")], [])
    return scene.with_copy(View(root, masked=(".env",)), tmp_path / "link", seen)


def test_the_profile_shows_the_copy_and_the_toolchain_and_hides_the_rest(laid: scene.Scene) -> None:
    profile = Profile(seatbelt.arguments(laid, False, orders._linked(laid)))
    home, run = os.path.dirname(laid.root), os.path.realpath(laid.run)
    readable = [f"{run}/copy/tracked", f"{home}/.pyenv/bin/python", f"{laid.root}/node_modules/x", "/usr/bin/env"]
    hidden = [f"{home}/.ssh/id", f"{laid.root}/.env", f"{laid.root}/.git/config", f"{home}/note", "/dev/ttys001"]
    assert [path for path in readable if not profile.allows("file-read-data", path)] == []
    assert [path for path in hidden if profile.allows("file-read-data", path)] == []
    assert [path for path in (*readable[1:], *hidden) if profile.allows("file-write-data", path)] == []
    assert profile.allows("file-write-data", f"{run}/tmp/x") and profile.allows("file-write-data", "/dev/null")
    assert profile.allows("file-read-metadata", home) and not profile.allows("file-read-data", home)


def test_every_path_of_the_profile_is_a_resolved_parameter_and_only_loopback_is_open(laid: scene.Scene) -> None:
    profile = Profile(seatbelt.arguments(laid, False, []))
    assert all(path == os.path.realpath(path) for path in profile.parameters.values())
    network = [rule for rule in profile.rules if any(str(word).startswith("network") for word in rule)]
    ends = {str(item) for rule in network for item in rule if isinstance(item, list) and item[1] == "ip"}
    assert ends == {str(["local", "ip", '"localhost:*"']), str(["remote", "ip", '"localhost:*"'])}
    assert all("unix-socket" in str(rule) or "localhost" in str(rule) for rule in network)
    assert ["allow", "network*", "system-socket"] in Profile(seatbelt.arguments(laid, True, [])).rules
