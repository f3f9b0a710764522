"""Pages on this machine alone: a run as it goes, a hospital's node, a coordinator's server."""
