"""Files in folders that others may have prepared: the only doors to them, and locks."""
