"""The hospital's side of being asked: what it answers as it is, what with noise, and what it refuses.

rules.py     the hospital's policy for questions
asked.py     one query as it is weighed
decision.py  exact, with noise, or a word of `common.wire.refusals`: by words and earlier answers, never by patients
answered.py  what was answered of these data before, on the disk: exact tables, and noisy numbers to be given again
part.py      this hospital's part of every sum of a query, once it is decided, logged, charged and remembered

A refusal is an answer too. So a decision reads the question, the study, the policy, numbers of persons that are told
anyway, and what was answered before; two hospitals that differ by their patients alone decide alike. One exception is
said in `answered.py`: that the data changed since an exact answer.
"""
