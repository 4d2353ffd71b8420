"""What a tree's own secret files hold, so that a test which prints it does not carry it into a request."""

from coder.repo.paths import looks_secret
from coder.repo.repository import Repository

MAX_FILE_BYTES = 64 * 1024
MAX_VALUES = 2_000
LEAST_LENGTH = 8  # shorter values are ports and switches: taking them out would spoil every report


def secret_values(repository: Repository, tree: str) -> tuple[str, ...]:
    """The values of `KEY=value` and `key: value` lines, and other lines whole, of files whose name speaks of secrets.

    A tracked `.env` is in the view of the tests, which may need it. Longest first, so that none is cut by another.
    """
    files = [f for f in repository.files(tree) if f.regular and f.size <= MAX_FILE_BYTES and looks_secret(f.path)]
    values: set[str] = set()
    for content in repository.read_blobs(file.oid for file in files).values():
        for line in content.decode("utf-8", "replace").splitlines():
            values.add(_value(line))
    long_enough = (value for value in values if len(value) >= LEAST_LENGTH)
    return tuple(sorted(long_enough, key=lambda value: (-len(value), value))[:MAX_VALUES])


def _value(line: str) -> str:
    marks = [position for mark in "=:" if (position := line.find(mark)) >= 0]
    return line[min(marks) + 1 :].strip(" \t,;\"'") if marks else line.strip()
