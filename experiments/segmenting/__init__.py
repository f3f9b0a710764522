"""`wardround segment`: one image outlined by a method that learns nothing."""
