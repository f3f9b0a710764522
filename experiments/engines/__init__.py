"""How a study runs: one file an engine."""
