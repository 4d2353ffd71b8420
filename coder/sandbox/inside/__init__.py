"""The part of the sandbox that runs inside it, in a Python of its own with nothing but the standard library.

Started as `python -I -S`, so nothing of the repository or of site-packages can be imported by accident.
Modules here import no other room, and no heavy module: their import time is paid by every test run.
"""
