"""Catalogue of the questions that an audit asks: one file each."""
