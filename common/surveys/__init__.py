"""Private surveys: every answer is randomised before it leaves, and the truth estimated from all of them."""
