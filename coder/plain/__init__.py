"""The face for dumb terminals, screen readers and scripts: the same session line by line. No cursor is ever moved."""
