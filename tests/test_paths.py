"""Which paths are refused, which need a separate yes, and which are named like secrets."""

import pytest

from coder.repo.paths import looks_secret, protected, refuse_path


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "\\x", "C:/x", "c:\\x", "../x", "a/../b", "a/..", "./a", "a//b", "a/", ".git/config",
        "a/.git", ".GIT/hooks/x", ".git /x", ".git./x", "git~1/config", "GIT~1", ".g\u200cit/x", "\uff0egit/x",
        ".git::$INDEX_ALLOCATION/x", "a\\..\\b", "a\\.git\\x", "a\nb", "a\rb", "a\0b", "\x1b[2J", "x" * 256,
        "d/" * 2100 + "x", "\u00e9" * 128,
    ],
)  # fmt: skip
def test_a_path_that_could_leave_the_tree_is_refused(path: str):
    assert refuse_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "a", "a/b.py", ".gitignore", ".github/x", "git", "a.git", "..a", "a..b", "...", "a b", "\u00e9/\u65e5",
        "a\udcff", "-x", "a\tb", "x" * 255,
    ],
)  # fmt: skip
def test_an_ordinary_if_odd_path_is_not_refused(path: str):
    assert refuse_path(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml", "sub/.github/dependabot.yml", ".gitlab-ci.yml", "Jenkinsfile", "jenkinsfile",
        ".husky/pre-commit", ".pre-commit-config.yaml", ".gitmodules", "d/.gitattributes", ".vscode/tasks.json",
        ".devcontainer/x/y", ".envrc", ".npmrc", "AGENTS.md", "agents.md", "CLAUDE.md", ".cursorrules",
        ".cursor/rules/a.mdc", ".coder.toml", ".coderignore", "Makefile", "tests/conftest.py", "setup.py", "uv.lock",
        "web/package-lock.json", "go.sum",
    ],
)  # fmt: skip
def test_a_path_that_acts_elsewhere_needs_a_separate_yes(path: str):
    assert protected(path)


@pytest.mark.parametrize("path", ["src/a.py", "github/x", "docs/Makefile.md", "lock.py", "setup.cfg.py", "vscode/x"])
def test_other_paths_need_no_separate_yes(path: str):
    assert protected(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        ".env", "a/.env.local", "prod.env", "tls.key", "x.PEM", "id_rsa", ".ssh/config", ".aws/credentials",
        "gcp-credentials.json", "terraform.tfstate", ".netrc", "secrets.yaml", "kubeconfig",
    ],
)  # fmt: skip
def test_names_that_usually_hold_secrets_are_known(path: str):
    assert looks_secret(path)


@pytest.mark.parametrize(
    "path", [".env.example", "a/.env.sample", "id_rsa.pub", "env.py", "keys.py", "secrets.py", "environment"]
)
def test_templates_and_code_hold_no_secrets(path: str):
    assert not looks_secret(path)
