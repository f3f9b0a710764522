"""Learning from images without labels: encoders, views of a case, losses, and whether features collapse."""
