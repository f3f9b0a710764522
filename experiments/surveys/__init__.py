"""`wardround survey`: asking persons of a table, reading what was heard, and what a survey would tell."""
