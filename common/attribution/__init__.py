"""Attribution: which values of an input an answer of a network rests on, and whether such a map may be believed."""
