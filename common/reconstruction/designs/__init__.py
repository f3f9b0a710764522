"""Designs of networks that enlarge images, by name. One file a design."""
