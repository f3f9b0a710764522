"""A hospital's own warm node: from a coordinator's SuperLink to the installed program and back, through every crash."""
