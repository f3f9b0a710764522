"""A hospital's PACS at the command line: whether it can be used, what a study takes of it, and answers sent to it."""
