"""`wardround reconstruct`: an image from what was measured of it, by any operator and method, on files."""
