"""One module of a package without the package: `coder.lean`."""

import sys
from pathlib import Path

import pytest

from coder.lean import import_lean


def test_a_module_is_imported_and_its_package_neither_run_nor_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "heavy_package").mkdir()
    (tmp_path / "heavy_package" / "__init__.py").write_text("raise RuntimeError\n")
    (tmp_path / "heavy_package" / "light.py").write_text("from heavy_package.other import VALUE\n")
    (tmp_path / "heavy_package" / "other.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert import_lean("heavy_package", "light").VALUE == 3
    assert "heavy_package" not in sys.modules


def test_what_is_not_installed_is_missed_by_name():
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        import_lean("no_such_package", "part")
