"""Settings chosen on validation cases: a run for each, one choice, and only then the test."""
