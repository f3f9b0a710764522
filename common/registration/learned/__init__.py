"""Registration that a network has learned: one pass instead of an optimisation."""
