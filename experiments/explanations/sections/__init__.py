"""Sections of the page, one file each: `make`, and what it found as JSON and as markup."""
