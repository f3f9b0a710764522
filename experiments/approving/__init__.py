"""In a hospital: what changed since the last approval, who agreed to what, and what its policy says of a study."""
