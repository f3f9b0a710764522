"""Each prints one table against a named peer or bound, in one run."""
