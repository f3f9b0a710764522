"""What attacks that rebuild inputs share: problems, searches, priors, what a gradient tells in closed form."""
