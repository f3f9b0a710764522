"""Ways to attribute an answer to the values of an input, one file each."""
