"""Ways to train a network that small changes do not mislead, one file each."""
