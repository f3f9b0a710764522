"""Attacks on what crossed the wire: one file each, each with its source."""
