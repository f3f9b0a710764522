"""A table made k-anonymous, and how many of its people could be found all the same."""
