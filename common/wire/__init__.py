"""How it travels: records, orders and their decoding, with the sizes of both."""
