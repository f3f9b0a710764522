"""What the server does with the sum: one file a strategy, pure init and step."""
