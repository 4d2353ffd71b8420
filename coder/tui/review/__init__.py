"""The review: decisions on a proposal by hunk and file, and the views to make them with."""
