"""Catalogue of privacy mechanisms: one file each."""
