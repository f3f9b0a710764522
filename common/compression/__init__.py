"""Updates in fewer bytes on their way up: forms of single updates, and steps of sums."""
