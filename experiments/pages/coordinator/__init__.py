"""The page of a coordinator's server: its programs and nodes, the queue of jobs, each run as it goes."""
