"""k-anonymity and its kin: what makes rows alike, how alike they are, and what that loses."""
