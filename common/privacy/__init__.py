"""Differential privacy: what is released and with how much noise, what it costs, and where the noise comes from."""
