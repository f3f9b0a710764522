"""A trained network on new data: read from its run folder, applied file by file, answers where they belong."""
