"""Exact tests of whether numbers are the noise that was claimed."""
