"""Ways to look for the change of an input that misleads a network most, one file each."""
