"""What a model answers about cases, in words and as an aim: classes, outlines, numbers, features. One file each."""
