"""What the model sees of the repository, and why: index, ranking, packing, token counts, layout.

Importing this package loads nothing heavy; tiktoken and tree-sitter load where they are first needed.
"""
