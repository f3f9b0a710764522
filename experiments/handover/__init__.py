"""Files that an engineer hands to a machine that runs a node or the coordinator."""
