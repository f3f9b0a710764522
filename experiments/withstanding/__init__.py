"""How much a run's model loses when images come otherwise: by scanners and patients, and by somebody's intent."""
