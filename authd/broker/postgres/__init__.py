"""PostgreSQL behind a person's touch: an application keeps its connection string, the server sees who is at the seat.

`messages`, `scram` and `signon` are the protocol, without I/O; `relay` forwards bytes; `proxy` answers applications,
`server` signs on for them, `keeper` tells the server who is present and ends the backends of whoever is not.
"""
