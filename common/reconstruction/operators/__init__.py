"""What is measured of an image, by name: y = A x + noise. One file an operator."""
