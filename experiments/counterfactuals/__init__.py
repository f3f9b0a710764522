"""What a learned causal model says would have been: pictures of patients, measured and beside the true ones."""
