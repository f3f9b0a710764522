"""What a learned causal model says would have been: pictures of patients, beside the true ones, and who is judged so."""
