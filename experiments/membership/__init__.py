"""Attacks on membership: was this case trained on? Each sees an Observation and cases somebody hands it."""
