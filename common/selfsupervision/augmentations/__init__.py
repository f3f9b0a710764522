"""Views of a case by name: what is drawn, apart from its being applied. One file a kind of image."""
