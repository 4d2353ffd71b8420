"""One module of a library without what its package imports for everybody else: half of a small command's start."""

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType


def import_lean(package: str, module: str) -> ModuleType:
    """The module `package.module`; `package` itself is not run, and left to whoever imports it later.

    Raises ModuleNotFoundError where there is none. Not safe beside another import of the same package.
    """
    spec = None if package in sys.modules else find_spec(package)
    if spec:
        sys.modules[package] = module_from_spec(spec)
    try:
        return importlib.import_module(f"{package}.{module}")
    finally:
        if spec:
            del sys.modules[package]
