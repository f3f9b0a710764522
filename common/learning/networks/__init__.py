"""Networks by name: one file a network."""
