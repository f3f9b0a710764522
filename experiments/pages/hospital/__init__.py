"""The page of a hospital's node, for its own people: what waits for them, what was done, what it cost."""
