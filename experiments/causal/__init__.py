"""What `wardround causal` says and draws: whether an effect can be known, and the three rungs of the ladder."""
