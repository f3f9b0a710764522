"""Structural causal models whose mechanisms are learned, of images among others (Pawlowski et al. 2020)."""
