"""How sums are made: one file a protocol, both halves side by side."""
