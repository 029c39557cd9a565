"""The built-in blocks, one family a file, announced by the same entry points as a stranger's."""
