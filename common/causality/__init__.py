"""Structural causal models, their graphs, and which effects can be known from what was only observed."""
