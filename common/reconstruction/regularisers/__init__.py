"""What is known of an image beforehand, by name: R of |A x - y|^2 / 2 + weight R(x). One file a regulariser."""
