"""In a hospital: what a study does and costs, and somebody's yes or no to it.

agreement.py     what is said of a study before somebody agrees, and the agreement
changes.py       what changed since an earlier approval
kept.py          who agreed to what; a yes taken back, a no
policy_words.py  the hospital's policy in sentences
question_words.py  the questions that a study asks, in sentences
"""
