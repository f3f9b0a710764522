"""Corruptions that hospitals really have, one file each."""
