"""What a study's privacy will cost, before any training."""
