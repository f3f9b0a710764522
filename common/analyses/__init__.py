"""Analyses: questions to hospitals that are no model, one file each."""
