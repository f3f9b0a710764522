"""Whether a map may be believed: tests that a map passes or fails, one file each."""
