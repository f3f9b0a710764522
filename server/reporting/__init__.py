"""From the files of a run folder to one page that opens anywhere."""
