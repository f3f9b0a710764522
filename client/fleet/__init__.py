"""A hospital's own warm node: from a SuperLink to the installed program and back, through every crash."""
