"""The parts of the page, one file each: a finding in words, a picture of it, the numbers behind it."""
