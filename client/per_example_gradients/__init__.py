"""Ways of computing a sum of clipped gradients: equal but for rounding, and unlike in speed and memory."""
