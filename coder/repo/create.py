"""A new repository from a folder of files: what the demo works on. Never used on a user's own directory."""

from pathlib import Path

from coder.repo.git import Git

_AUTHOR = {
    "GIT_AUTHOR_NAME": "coder demo",
    "GIT_AUTHOR_EMAIL": "demo@localhost",
    "GIT_COMMITTER_NAME": "coder demo",
    "GIT_COMMITTER_EMAIL": "demo@localhost",
}


def create_repository(root: Path, message: str) -> None:
    """Make `root` a repository with everything below it in one commit."""
    git = Git(root / ".git", root, env=_AUTHOR)
    git.run("init", "--quiet", "--template=", "--initial-branch=main")
    git.run("add", "--all", "--", ".")
    git.run("commit", "--quiet", "--message", message)
