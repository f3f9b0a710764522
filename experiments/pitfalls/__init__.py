"""Where metrics mislead, as pictures with the figures measured on them."""
