"""What hospitals and coordinator must agree on. Imports nothing of ours outside this package."""

__version__ = "0.2.0"
