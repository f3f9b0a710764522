"""Sums in the clear: the server sees every hospital's single update."""
