"""The coordinator's programs, kept running, and its jobs.

settings.py       what server.toml says, and where things lie in the coordinator's folder
link.py           stock SuperLink and SuperExec on loopback, and the front before them
node_keys.py      the SuperLink knows the keys in node-keys/, and no others
supervision.py    whichever program ends is started again; what a crash left behind is ended
job_queue.py      jobs on the disk: whoever submits writes them, the supervisor reads them
attempts.py       one job at Flower: begun, watched, begun again after a crash, ended
conducting.py     one job after the other, through any end of this program
serving.py        all of it until a signal comes
process.py        `wardround server up`: serving as a process of its own
front_process.py  `wardround server front` and `nginx`
jobs.py           `wardround submit` and `stop`
standing.py       what `wardround status` says
consortium.py     `wardround consortium`: who is a member
"""
