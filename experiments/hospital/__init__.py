"""What a hospital's commands do, beside its node.

node_process.py    `wardround node run`: a process with lines for a journal and an exit status for systemd
enrolment.py       `wardround node enrol`, `rotate`, `accept`
log.py             `wardround log`
ledger.py          `wardround privacy`, from what ledger_summary.py adds up
withdrawal.py      `wardround withdraw`

What somebody agrees to is in `experiments/approving`; the node itself is `client/fleet`.
"""
