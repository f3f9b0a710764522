"""`wardround metrics`: figures of predicted and true label maps."""
