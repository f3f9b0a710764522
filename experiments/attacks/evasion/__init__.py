"""What attacks that move inputs share: the range they may not leave, and the way up the loss."""
