"""Finds what is logged in to a wired system and belongs to no session: shared sessions that go around authd.

`settings` says which systems; `postgresql` and `weblog` see what is there; `compare` says why nobody answers for it;
`watch` looks again and again, has it recorded, and ends it where the policy says so.
"""
