"""The screen looks as on the pictures that were looked at."""

import difflib

import pytest

from tests.pictures.scenes import PLACE, SCENES, VERSIONS, picture, versions

OTHER = VERSIONS.read_text("utf-8") != versions()


@pytest.mark.skipif(OTHER, reason=f"the pictures were drawn with other libraries: {VERSIONS}")
@pytest.mark.parametrize("name", SCENES)
def test_the_screen_looks_as_on_its_picture(name: str) -> None:
    kept, drawn = (PLACE / f"{name}.svg").read_text("utf-8"), picture(name)
    if drawn != kept:
        lines = list(difflib.unified_diff(kept.splitlines(), drawn.splitlines(), "kept", "drawn now", n=0, lineterm=""))
        pytest.fail(
            f"{name} looks different. If it should, draw it anew (python -m tests.pictures {name}), look at it "
            f"(tests/pictures/{name}.svg) and commit it.\n" + "\n".join(lines[:30]),
            pytrace=False,
        )
