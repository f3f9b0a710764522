"""Parts of the page, one file each: `make` of a run, what was asked and a clock."""
