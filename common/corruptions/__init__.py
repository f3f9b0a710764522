"""What scanners and patients do to an image without anybody's intent, and how much a model loses by it."""
