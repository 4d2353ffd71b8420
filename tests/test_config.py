"""Settings: what is wrong is told with file and line, what a repository may not decide it does not decide."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from coder.config import (
    NOT_FROM_PROJECT,
    Settings,
    environment_layer,
    flag_layers,
    known_keys,
    load_config,
    project_layer,
    set_layer,
    user_layer,
)
from coder.errors import UserError
from tests.fake_openai import FakeOpenAI, text
from tests.work import coder, git, make_repository


def load(content: str | bytes, tmp_path: Path) -> Settings:
    path = tmp_path / "config.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    layer = user_layer(path)
    assert layer is not None
    return load_config([layer]).settings


def fault(content: str | bytes, tmp_path: Path) -> str:
    """The message and hint of what is wrong with this user file."""
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        load(content, tmp_path)
    assert time.process_time() - started < 2
    assert caught.value.hint
    return f"{caught.value.message.replace(str(tmp_path), '')} | {caught.value.hint}"


def test_without_any_source_the_defaults_hold() -> None:
    config = load_config([])
    assert (config.settings, config.origins) == (Settings(), {})
    assert (config.settings.model, config.settings.subagent_model) == ("gpt-5.4-mini", "gpt-5.4-nano")


# ── files ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model = \n", "/config.toml:1: Invalid value"),
        ("model = 'a'\n[context\nbudget = 1", "/config.toml:2: Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2", "/config.toml:2: Cannot overwrite a value"),
        ("[test]\n[context]\n[test]", "/config.toml:3: Cannot declare ('test',) twice"),
        ("model = '''x", "/config.toml:1: "),
        ("x = {", "/config.toml:1: "),
        ("a = " + "9" * 5_000, "/config.toml: Exceeds the limit"),
        ("model = 'a'\nx = '\xe9'".encode("latin-1"), "/config.toml:2: it is not UTF-8 here"),
        ("model = 'a\0b'", "/config.toml:1: "),
        ("a = " + "[" * 100_000, "/config.toml: "),
        ("x." * 60_000 + "x = 1", "/config.toml:1: a key of too many parts"),
        ("\n[" + ".".join(["'y'"] * 40_000) + "]", "/config.toml:2: a key of too many parts"),
        ("[a." * 20 + "a]", "/config.toml:1: "),
        ("a = " + "{a=" * 50_000, "/config.toml: "),
        (b"#" + b"x" * 50_000_000, "/config.toml is larger than 256 KiB"),
    ],
    ids=["no value", "open bracket", "duplicate key", "duplicate table", "open string", "open table", "huge number",
         "latin-1", "NUL", "deep list", "deep key", "deep header", "bad header", "deep table", "50 MB"],
)  # fmt: skip
def test_a_malformed_file_is_told_with_its_line(content: str | bytes, message: str, tmp_path: Path) -> None:
    told = fault(content, tmp_path)
    assert message in told
    assert len(told) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model = 5", "/config.toml:1: model: expected a text, got"),
        ("model = ''", "/config.toml:1: model: "),
        ("model = 'a b'", "/config.toml:1: model: "),
        ("\n[context]\nbudget = 'lots'", "/config.toml:3: context.budget: expected a whole number, got"),
        ("[context]\nbudget = '64000'", "/config.toml:2: context.budget: expected a whole number, got"),
        ("context = 1", "/config.toml:1: context: "),
        ("[limits]\nmax_cost = -1", "/config.toml:2: limits.max_cost: expected a number >= 0"),
        ("[limits]\nmax_cost = inf", "/config.toml:2: limits.max_cost: expected a number"),
        ("[limits]\nmax_cost = nan", "/config.toml:2: limits.max_cost: expected a number"),
        ("[limits]\nmax_cost = 1e9", "/config.toml:2: limits.max_cost: expected a number <= 100000"),
        ("[limits]\nmax_steps = 0", "/config.toml:2: limits.max_steps: expected a whole number >= 1"),
        ("[limits]\nmax_steps = true", "/config.toml:2: limits.max_steps: expected a whole number, got"),
        ("[limits]\nmax_steps = 1.5", "/config.toml:2: limits.max_steps: expected a whole number, got"),
        ("[limits]\ntimeout = nan", "/config.toml:2: limits.timeout: expected a number"),
        ("[limits]\nretry_budget = -0.5", "/config.toml:2: limits.retry_budget: expected a number"),
        ("[context]\nbudget = 12", "/config.toml:2: context.budget: expected a whole number >= 1000"),
        ("[context]\nbudget = 10_000_000", "/config.toml:2: context.budget: expected a whole number <= 1000000"),
        ("[test]\ncommands = 'pytest'", "/config.toml:2: test.commands: expected a list, got a text"),
        ("[test]\ncommands = [1]", "/config.toml:2: test.commands.0: expected a text, got"),
        ("[sandbox]\nnetwork = 'yes'", "/config.toml:2: sandbox.network: expected true or false, got a text"),
        ("effort = 'huge'", "/config.toml:1: effort: expected one of 'none', 'low'"),
        ("[roles.codr]\nmodel = 'x'", "/config.toml:1: roles.codr: expected one of 'coder'"),
        ("[providers.x]\napi = 'chat'", "/config.toml:1: providers.x.base_url: it is missing"),
        ("model = 2026-01-01", "/config.toml:1: model: expected a text, got"),
    ],
)
def test_a_value_of_another_type_or_size_is_refused(content: str, message: str, tmp_path: Path) -> None:
    assert message in fault(content, tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("modle = 'x'", "/config.toml:1: unknown setting 'modle' | did you mean 'model'?"),
        ("# modle\nmodel = 'a'\nmodle = 'x'", "/config.toml:3: unknown setting 'modle' | did you mean 'model'?"),
        ("[context]\nbudgt = 1", "/config.toml:2: unknown setting 'context.budgt' | did you mean 'context.budget'?"),
        ("[contxt]\nbudget = 9000", "/config.toml:1: unknown setting 'contxt.budget' | did you mean 'context.budget'?"),
        ("context.budgt = 1", "/config.toml:1: unknown setting 'context.budgt' | did you mean 'context.budget'?"),
        ("context = { budgt = 1 }", "/config.toml:1: unknown setting 'context.budgt' | did you mean 'context.budget'?"),
        (
            "[limits]\nmax_cost = 1\n[context]\nmax_cost = 1",
            "/config.toml:4: unknown setting 'context.max_cost' | did you mean 'limits.max_cost'?",
        ),
        (
            "[providers.mine]\nbase_url = 'http://h/v1'\nbase_ulr = 1",
            "/config.toml:3: unknown setting 'providers.mine.base_ulr' | did you mean 'providers.mine.base_url'?",
        ),
        (
            "[roles.coder]\nefort = 'low'",
            "/config.toml:2: unknown setting 'roles.coder.efort' | did you mean 'roles.coder.effort'?",
        ),
        ("zzzzzz = 1", "/config.toml:1: unknown setting 'zzzzzz' | see `coder config`"),
    ],
)
def test_an_unknown_key_names_its_line_and_the_nearest_known_one(content: str, told: str, tmp_path: Path) -> None:
    assert fault(content, tmp_path).removeprefix("user file ") == told


def test_no_file_is_no_layer(tmp_path: Path) -> None:
    assert user_layer(tmp_path / "none.toml") is None
    assert project_layer(tmp_path / "none.toml") is None


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("directory", "fifo", "endless"):
        with pytest.raises(UserError, match="is not a regular file"):
            user_layer(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "config.toml").chmod(0)
    with pytest.raises(UserError, match=r"cannot read .*Permission denied"):
        user_layer(tmp_path / "config.toml")


def test_a_path_through_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot read .*Not a directory"):
        user_layer(tmp_path / "file" / "config.toml")


# ── precedence ───────────────────────────────────────────────────────────────────────────────────


def test_later_layers_win_and_each_value_knows_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "user.toml").write_text("model = 'u'\neffort = 'low'\n[context]\nbudget = 10_000\nselector = 'off'")
    (tmp_path / "project.toml").write_text("effort = 'high'\n[context]\nbudget = 20_000\n[test]\ncommands = ['t']")
    layers = [
        user_layer(tmp_path / "user.toml"),
        project_layer(tmp_path / "project.toml"),
        environment_layer({"CODER_CONTEXT__BUDGET": "30000", "HOME": "/", "CODER_MODEL": "e"}),
        set_layer(["context.budget=40000"]),
        *flag_layers({"context.budget": 50_000, "model": None}),
    ]
    config = load_config(layer for layer in layers if layer)
    settings = config.settings
    assert (settings.model, settings.effort, settings.context.selector) == ("e", "high", "off")
    assert (settings.context.budget, settings.test.commands) == (50_000, ("t",))
    assert config.origins == {
        "model": "environment CODER_*",
        "effort": f"project file {tmp_path / 'project.toml'}",
        "context.budget": "flag --context-budget",
        "context.selector": f"user file {tmp_path / 'user.toml'}",
        "test.commands": f"project file {tmp_path / 'project.toml'}",
    }


def test_exclusions_add_up_so_that_no_layer_lets_out_what_another_keeps(tmp_path: Path) -> None:
    (tmp_path / "user.toml").write_text("context.exclude = ['private/**']")
    (tmp_path / "project.toml").write_text("context.exclude = []")
    files = user_layer(tmp_path / "user.toml"), project_layer(tmp_path / "project.toml")
    assert load_config([*filter(None, files), set_layer(["context.exclude=*.sql"])]).settings.context.exclude == (
        "private/**",
        "*.sql",
    )


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"CODER_MODEL": "x"}, {"model": "x"}),
        ({"CODER_MODEL": ""}, {}),
        ({"CODER_LIMITS__MAX_COST": "0.5"}, {"limits": {"max_cost": 0.5}}),
        ({"CODER_SANDBOX__NETWORK": "true"}, {"sandbox": {"network": True}}),
        ({"CODER_TEST__COMMANDS": "pytest -q"}, {"test": {"commands": ("pytest -q",)}}),
        ({"CODER_TEST__COMMANDS": '["a b", "c"]'}, {"test": {"commands": ("a b", "c")}}),
        ({"CODER_AGENT_TOKEN": "t", "CODER_WORKSPACE_NAME": "w", "CODER_URL": "https://c", "CODER": "true"}, {}),
    ],
)
def test_variables_set_what_they_name(environ: dict[str, str], wanted: dict[str, Any]) -> None:
    assert load_config([environment_layer(environ)]).settings == convert(wanted, Settings)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CODER_MODLE", "environment CODER_*: unknown setting 'modle' | did you mean 'model'?"),
        (
            "CODER_CONTEXT_BUDGET",
            "environment CODER_*: unknown setting 'context_budget' | did you mean 'context.budget'?",
        ),
        ("CODER_TRUST", "environment CODER_*: unknown setting 'trust' | see `coder config`"),
    ],
)
def test_an_unknown_variable_is_refused(name: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config([environment_layer({name: "1"})])
    assert f"{caught.value.message} | {caught.value.hint}" == told


@pytest.mark.parametrize(
    ("assignment", "wanted"),
    [
        ("model=gpt-6", {"model": "gpt-6"}),
        ("model=7", {"model": "7"}),
        ('model="quoted"', {"model": "quoted"}),
        ("context.budget=64000", {"context": {"budget": 64000}}),
        ("context.budget = 64_000", {"context": {"budget": 64000}}),
        ("context.exclude=*.md", {"context": {"exclude": ("*.md",)}}),
        ("test.commands=make test=1", {"test": {"commands": ("make test=1",)}}),
        ("base_url=http://h:1/v1?a=b", {"base_url": "http://h:1/v1?a=b"}),
        ("roles.triager.model=n", {"roles": {"triager": {"model": "n"}}}),
        ("roles.coder.fallback=a", {"roles": {"coder": {"fallback": ("a",)}}}),
        ("providers.mine.base_url=http://h/v1", {"providers": {"mine": {"base_url": "http://h/v1"}}}),
        ("screen.keys={ accept = 'y' }", {"screen": {"keys": {"accept": "y"}}}),
        ("api=chat", {"api": "chat"}),
    ],
)
def test_set_takes_toml_or_plain_text(assignment: str, wanted: dict[str, Any]) -> None:
    assert load_config([set_layer([assignment])]).settings == convert(wanted, Settings)


@pytest.mark.parametrize(
    "assignment",
    ["", "=", "=x", "model", "contxt.budget=1", "context.budget=lots", "context=1", "model=", "model=a\nb", ".=1",
     "context..budget=1", "context.budget.x=1", "limits.max_cost=-1", "limits.max_cost=nan", "a." * 5_000 + "a=1",
     "context.budget=" + "9" * 9_000, "model=" + "x" * 20_000],
    ids=lambda value: value[:30],
)  # fmt: skip
def test_a_bad_assignment_is_refused(assignment: str) -> None:
    with pytest.raises(UserError):
        load_config([set_layer([assignment])])


def test_a_value_and_a_section_of_one_name_exclude_each_other() -> None:
    with pytest.raises(UserError, match="both as a value and as a section"):
        load_config([set_layer(["context=1", "context.budget=5000"])])


def test_every_known_key_has_a_sentence() -> None:
    from coder.cli.config import setting_rows
    from coder.cli.setup import Setup
    from coder.store import find_places

    rows = setting_rows(Setup(find_places(), None, False, load_config([])))
    assert [row["key"] for row in rows] == known_keys()
    assert all(row["meaning"].endswith((".", "?")) for row in rows)


# ── what a repository may say ────────────────────────────────────────────────────────────────────

FORBIDDEN = {
    "base_url": "'https://evil.example/v1'",
    "api_key_env": "'GITHUB_TOKEN'",
    "api": "'chat'",
    "provider": "'evil'",
    "providers": "{ evil = { base_url = 'https://evil.example/v1' } }",
    "limits": "{ max_cost = 1000 }",
    "sandbox": "{ network = true }",
    "roles": "{ coder = { model = 'x' } }",
    "screen": "{ theme = 'x' }",
    "state": "{ retention_days = 1 }",
    "otel": "{ export = 'on' }",
}


def test_the_list_of_what_a_repository_may_not_set_is_whole() -> None:
    assert set(NOT_FROM_PROJECT) == set(FORBIDDEN)


@pytest.mark.parametrize(("key", "value"), FORBIDDEN.items())
def test_a_repository_may_not_set_where_data_goes_or_what_is_allowed(key: str, value: str, tmp_path: Path) -> None:
    (tmp_path / ".coder.toml").write_text(f"# {key}\n{key} = {value}\n")
    with pytest.raises(UserError, match=rf"\.coder\.toml:2: a repository may not set '{key}'"):
        project_layer(tmp_path / ".coder.toml")


def test_a_repository_may_not_take_back_an_exclusion(tmp_path: Path) -> None:
    (tmp_path / ".coder.toml").write_text("[context]\nexclude = ['a', '!.env']\n")
    with pytest.raises(UserError, match=r"\.coder\.toml:2: a repository may not take back"):
        project_layer(tmp_path / ".coder.toml")


PROJECT = """
model = "from-project"
[context]
budget = 7777
[test]
commands = ["python3 -c 'print(1)'"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", {".coder.toml": PROJECT, "a.py": "x = 1\n"})


def test_a_repository_is_heard_only_when_trusted(root: Path) -> None:
    def effective(*flags: str) -> dict[str, Any]:
        rows = coder(root, "config", "--output", "json", *flags).result["settings"]
        return {row["key"]: row["value"] for row in rows if row["key"] in ("model", "context.budget", "test.commands")}

    heard = {"model": "from-project", "context.budget": 7777, "test.commands": ["python3 -c 'print(1)'"]}
    assert effective() == {"model": "gpt-5.4-mini", "context.budget": 128_000, "test.commands": []}
    assert effective("--trust") == heard
    assert coder(root, "trust", "add").code == 0
    assert effective() == heard
    assert effective("--model", "mine") == {**heard, "model": "mine"}
    assert coder(root, "trust", "remove").code == 0
    assert effective() == {"model": "gpt-5.4-mini", "context.budget": 128_000, "test.commands": []}


def test_a_repository_cannot_redirect_a_request(root: Path) -> None:
    (root / ".env").write_text("OPENAI_BASE_URL=http://127.0.0.1:9/v1\n")
    with FakeOpenAI([text("It is fine.")]) as server:
        ended = coder(root, "ask", "is it fine?", "--output", "json", env=server.environ())
        assert ended.code == 0, ended.err
        assert server.requests[0].body["model"] == "gpt-5.4-mini"
    (root / ".coder.toml").write_text("base_url = 'http://127.0.0.1:9/v1'\n")
    git(root, "add", ".coder.toml")
    with FakeOpenAI([]) as server:
        ended = coder(root, "ask", "?", "--trust", "--output", "json", env=server.environ())
        assert (ended.code, server.requests) == (2, [])
    assert "a repository may not set 'base_url'" in ended.result["error"]["message"]


def test_a_broken_project_file_is_told_once_trusted_and_ignored_before(root: Path) -> None:
    (root / ".coder.toml").write_text("model = \n")
    assert coder(root, "config").code == 0
    ended = coder(root, "config", "--trust", "--output", "json")
    assert ended.code == 2
    assert ".coder.toml:1: Invalid value" in ended.result["error"]["message"]


def test_the_users_file_is_read_and_never_rewritten(root: Path) -> None:
    place = Path(os.environ["HOME"]) / ".config" / "coder"
    place.mkdir(parents=True)
    (place / "config.toml").write_text("# mine\nmodle = 'x'\n")
    ended = coder(root, "config", "--output", "json")
    assert (ended.code, (place / "config.toml").read_text()) == (2, "# mine\nmodle = 'x'\n")
    assert f"{place / 'config.toml'}:2: unknown setting 'modle'" in ended.result["error"]["message"]
    (root / "other.toml").write_text("model = 'other'")
    ended = coder(root, "config", "--config", "other.toml", "--output", "json")
    assert json.loads(ended.out)["settings"][0]["value"] == "other"


def test_a_password_in_an_address_is_not_printed(root: Path) -> None:
    for form in ("text", "json"):
        ended = coder(root, "config", "--set", "base_url=http://me:hunter2secret@h/v1", "--output", form)
        assert ended.code == 0
        assert "hunter2" not in ended.out + ended.err
