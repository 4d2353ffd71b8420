"""Draw all pictures anew, or those that are named."""

import sys

from tests.pictures.scenes import PLACE, SCENES, VERSIONS, picture, versions

for name in sys.argv[1:] or SCENES:
    (PLACE / f"{name}.svg").write_text(picture(name), "utf-8")
    print(PLACE / f"{name}.svg")
VERSIONS.write_text(versions(), "utf-8")
