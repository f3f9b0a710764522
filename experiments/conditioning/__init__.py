"""What a weight of Tikhonov does to noise and to equations, operator by operator, as data and as pictures."""
