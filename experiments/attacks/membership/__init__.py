"""What attacks on membership share: targets, shadow models, statistics."""
