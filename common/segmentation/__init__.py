"""Networks and methods that outline structures."""
