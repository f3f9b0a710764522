"""What attacks with canaries share."""
