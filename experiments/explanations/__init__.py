"""What a run's model looks at, as a page: maps of cases and sums of them, whether to believe them, what is inside."""
