"""One conversation on one repository: snapshot, plan, turn, tests, review, apply, undo."""
