"""How an image is found, by name: the least of |A x - y|^2 / 2 + weight R(x). One file a method."""
