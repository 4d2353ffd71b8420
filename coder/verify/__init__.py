"""Tries a draft before anyone sees it: which command tests it, what its output says, and how that compares with
the tree before the change. Runs nothing itself but through a sandbox."""
