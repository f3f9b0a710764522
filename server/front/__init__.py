"""The way in from outside: mutual TLS, nine exact paths, and nothing else of the SuperLink behind it.

    settings.py        what server.toml says of it
    rules.py           what passes: paths, headers, sizes; both fronts, Python's and nginx', are made from it
    head.py            judges the bytes of a request's head, before any parser has made something of them
    tls.py             contexts for the certificates, CA and revocation list that lie in the folder now
    own_name.py        no hospital answers in another's name
    forwarding.py      asks the SuperLink and passes its answer back
    protocol.py        a connection: who it is, what it may ask, how long it may take
    serving.py         accepts connections, and takes new certificates without a restart
    nginx.py           the same rules as a configuration of nginx

It runs as a process of its own (`wardround server front`); killed and started again it has lost nothing: it keeps
no state, and whoever was cut off asks again.
"""
