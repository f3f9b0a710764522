"""`wardround doctor`: what keeps a hospital or a coordinator from taking part, and the remedy in a sentence.

finding.py       a line: ok, warn or fail, what was found, what to do
keys.py          certificates, keys, who may read them
members.py       the member list, its signatures, keys that fit it
surroundings.py  versions, disk, clock
reaching.py      the way to the coordinator, step by step
hospital.py      all of it for a hospital's folder
coordinator.py   all of it for a coordinator's folder
examination.py   whichever of the two a folder is
"""
