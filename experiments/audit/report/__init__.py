"""The audit as a page, from its first sentence to its last table."""
