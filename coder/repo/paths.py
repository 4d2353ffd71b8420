"""Which paths may be touched: refused always, protected until a separate yes, or likely to hold a secret.

Pure functions over POSIX paths relative to the tree's root; what is on disk (symlinks, submodules) is for a view.
"""

import re
import unicodedata
from fnmatch import fnmatchcase

# Code points that HFS+ ignores when it compares names, so that ".g\u200cit" opens ".git" (git's utf8.c, CVE-2014-9390).
_HFS_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF],
)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_NAME_LIMIT = 255  # bytes; what common file systems take for one component
_PATH_LIMIT = 4096  # bytes; PATH_MAX on Linux


def refuse_path(path: str) -> str:
    """Why `path` may never be read or written by an edit, or "" if it may.

    Refused: absolute or empty paths, `.` and `..` components, anything a file system could take for `.git`,
    control characters, over-long names, and names with a backslash that leave the tree where it separates.
    """
    if not path:
        return "the path is empty"
    if _CONTROL.search(path.replace("\t", "")):  # a tab is a legal, if odd, part of a name
        return "the path has a control character"
    if path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", path):
        return "the path is absolute"
    if len(path.encode("utf-8", "surrogatepass")) > _PATH_LIMIT:
        return "the path is too long"
    for part in path.split("/"):
        if reason := _refuse_component(part):
            return reason
    return ""


def _refuse_component(part: str) -> str:
    if part == "":
        return "the path has an empty component"
    if part in (".", "..") or "..\\" in part or "\\.." in part:
        return "the path leaves the tree"
    if len(part.encode("utf-8", "surrogatepass")) > _NAME_LIMIT:
        return "the path has a name of more than 255 bytes"
    if any(_opens_dot_git(piece) for piece in part.split("\\")):
        return "the path is inside .git"
    return ""


def _opens_dot_git(name: str) -> bool:
    """Whether some file system opens `.git` under `name`: by case, trailing dots and blanks, an alternate data
    stream or the short name on NTFS, ignorable code points on HFS+ (git's is_ntfs_dotgit and is_hfs_dotgit)."""
    folded = unicodedata.normalize("NFKC", name.translate(_HFS_IGNORED)).casefold().split(":")[0].rstrip(". ")
    return folded in (".git", "git~1")


# A change here acts outside the code it belongs to: on CI, on the next checkout, on an editor, on an agent.
_PROTECTED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "runs in CI",
        (
            ".github/**",
            ".gitlab-ci.yml",
            ".gitlab/**",
            ".circleci/**",
            "Jenkinsfile",
            "azure-pipelines.yml",
            ".travis.yml",
            ".drone.yml",
            ".woodpecker/**",
            ".woodpecker.yml",
            ".buildkite/**",
            "bitbucket-pipelines.yml",
        ),
    ),
    ("runs as a git hook", (".husky/**", ".githooks/**", ".pre-commit-config.yaml", "lefthook.yml", ".lefthook.yml")),
    ("steers git", (".gitmodules", ".gitattributes")),
    ("runs when the folder is opened", (".vscode/**", ".idea/**", ".devcontainer/**", ".envrc")),
    ("configures a package manager", (".npmrc", ".yarnrc", ".yarnrc.yml", "pip.conf", ".pypirc")),
    (
        "instructs agents",
        (
            "AGENTS.md",
            "CLAUDE.md",
            "GEMINI.md",
            ".mcp.json",
            ".cursor*",
            ".cursor*/**",
            ".coder*",
            ".coder*/**",
            ".claude/**",
            ".codex/**",
        ),
    ),
    (
        "runs on build or test",
        (
            "Makefile",
            "GNUmakefile",
            "conftest.py",
            "setup.py",
            "build.rs",
            "sitecustomize.py",
            "usercustomize.py",
        ),
    ),
    (
        "pins dependencies",
        (
            "*.lock",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "pnpm-lock.yaml",
            "go.sum",
            "bun.lockb",
            "gradle.lockfile",
        ),
    ),
)


def protected(path: str) -> str:
    """Why a change of `path` needs a separate yes, or "" if it does not. Names are compared without case,
    since a file system may do the same."""
    for reason, patterns in _PROTECTED:
        if any(_matches(path, pattern) for pattern in patterns):
            return reason
    return ""


def _matches(path: str, pattern: str) -> bool:
    """A pattern names a file or a folder (`x/**`) at any depth."""
    parts = path.casefold().split("/")
    pattern = pattern.casefold()
    if pattern.endswith("/**"):
        return any(fnmatchcase(part, pattern[:-3]) for part in parts[:-1])
    return fnmatchcase(parts[-1], pattern)


_SECRET_NAMES = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    "*credentials*.json",
    "credentials",
    "kubeconfig",
    "*.tfstate",
    "*.tfstate.*",
    "*.kdbx",
    ".htpasswd",
    "secrets.json",
    "secrets.toml",
    "secrets.y*ml",
)
_SECRET_FOLDERS = (".aws", ".ssh", ".gnupg", ".kube", ".azure")
_TEMPLATE_ENDINGS = (".example", ".sample", ".template", ".dist", ".pub", ".md")


def looks_secret(path: str) -> bool:
    """Whether a file of this name usually holds a secret. Templates (`.env.example`) and public keys do not."""
    *folders, name = path.casefold().split("/")
    if any(folder in _SECRET_FOLDERS for folder in folders):
        return True
    if name.endswith(_TEMPLATE_ENDINGS):
        return False
    return any(fnmatchcase(name, pattern) for pattern in _SECRET_NAMES)
