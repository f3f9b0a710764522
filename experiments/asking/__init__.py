"""Asking a study's hospitals: what was typed, the run that answers it, and how answers are shown."""
