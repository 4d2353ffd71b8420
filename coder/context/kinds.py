"""What a file is for, by the conventions of its name: source, test, example, prose, tooling, vendored, generated, data.

Most tasks are about sources; the others follow unless the task speaks of them.
"""

import re
from functools import lru_cache
from typing import Literal

from coder.context.languages import is_code, is_prose

Kind = Literal["source", "test", "example", "prose", "tooling", "vendored", "generated", "data"]

_TEST_FOLDER = re.compile(
    r"(?:^|/)(?:tests?|__tests__|testing|test[-_]?suites?|specs?|features|test[-_]?data|test[-_]?utils|e2e|evals?|bench(?:es|marks?)?"
    r"|integration[-_]tests?|fixtures|__mocks__|mocks?|__snapshots__|stories)/",
    re.IGNORECASE,
)
_TEST_NAME = re.compile(
    r"test_[^/]*|[^/]*_tests?\.\w+|conftest\.py|[^/]*[.-](?:test|spec|bench|stories)\.\w+|[^/]*[a-z]Tests?\.\w+|tests?\.\w+"
    r"|[^/]*[-_.]test[-_]?(?:helper|util)s?\.\w+|(?:test|spec)_helper\.\w+"
)
_VENDORED = re.compile(
    r"(?:^|/)(?:vendor(?:ed)?|_vendor|third[-_]?party|node_modules|deps|extern|externals|bower_components|site-packages)/",
    re.IGNORECASE,
)
_GENERATED_FOLDER = re.compile(r"(?:^|/)(?:dist|build|out|target|generated|__generated__|_?antlr|gen)/", re.IGNORECASE)
_GENERATED_NAME = re.compile(
    r"[^/]*\.min\.\w+|[^/]*\.pb\.\w+|[^/]*_pb2(?:_grpc)?\.pyi?|[^/]*[._-]gen(?:erated)?\.\w+|[^/]*\.d\.ts|[^/]*\.g\.\w+"
)
_EXAMPLE = re.compile(
    r"(?:^|/)(?:examples?|samples?|demos?|tutorials?|playground|templates?-examples?)/", re.IGNORECASE
)
_PROSE_FOLDER = re.compile(
    r"(?:^|/)(?:docs?|docs_src|documentation|website|site|man|changes|changelogs?|news)/", re.IGNORECASE
)
_TOOLING_FOLDER = re.compile(
    r"(?:^|/)(?:\.[\w-]+|scripts?|tools?/build|ci|packaging|releases?|hack|contrib/(?:ci|release)|etc|utils/(?:release|build))/"
)
_TOOLING_NAME = re.compile(
    r"setup\.py|conf\.py|noxfile\.py|tasks\.py|fabfile\.py|build\.(?:rs|gradle|zig|sbt)|[^/]*\.config\.[cm]?[jt]s|Rakefile|Gruntfile\.js"
    r"|gulpfile\.js|_{0,2}version_{0,2}\.\w+|__about__\.\w+|release\.\w+"
)  # fmt: skip


def kind_of(path: str) -> Kind:
    """The kind of a file. A folder named `src` or a package of that name above the file outweighs no other sign."""
    if not is_code(path):
        return "prose" if is_prose(path) else "data"
    folder, slash, name = path.rpartition("/")
    above = _kind_of_folder(folder + slash)
    if above == "vendored":
        return "vendored"
    if above == "generated" or _GENERATED_NAME.fullmatch(name):
        return "generated"
    if above == "test" or _TEST_NAME.fullmatch(name):
        return "test"
    if above in ("example", "prose"):
        return above
    return "tooling" if above == "tooling" or _TOOLING_NAME.fullmatch(name) else "source"


@lru_cache(maxsize=20_000)
def _kind_of_folder(folder: str) -> Kind:
    """What the folders above a file say of it (`folder` ends in a slash unless it is the root): the strongest sign."""
    for kind, pattern in _FOLDERS.items():
        if pattern.search(folder):
            return kind
    return "source"


_FOLDERS: dict[Kind, re.Pattern[str]] = {
    "vendored": _VENDORED,
    "generated": _GENERATED_FOLDER,
    "test": _TEST_FOLDER,
    "example": _EXAMPLE,
    "prose": _PROSE_FOLDER,
    "tooling": _TOOLING_FOLDER,
}
