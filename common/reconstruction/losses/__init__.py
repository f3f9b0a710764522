"""What a network that reconstructs images makes small, by name: `task.loss`. One file a loss."""
