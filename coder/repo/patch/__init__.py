"""The edit engine: text that a model wrote, in any accepted format, to new file contents, exact or refused.

`resolve` is pure: it reads the tree through a TreeView and writes nothing. Formats: unified diff, V4A,
SEARCH/REPLACE blocks, whole files in a fence. Nothing is imported here: who only names an edit needs no reader.
"""
