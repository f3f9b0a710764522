"""`wardround example`: small protocols between a few parties, with what every one of them saw."""
