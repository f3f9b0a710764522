"""Files that an engineer hands to a machine that runs a node or the coordinator.

command.py  `wardround node files` and `server files`: what is filled in, and what to do with it
files.py    templates, filled in
"""
