"""The HTTP process for applications that cannot be changed: forward auth, OpenID Connect, security events.

It holds no signing key and no template, and knows who is at a seat as any application does: by the key of each
application that it stands before, over the bus. `settings` what it is told, `sessions` who is logged in where and for
how long that may be believed, `world` what a surface is given, `app` which surface answers, `server` the socket.
"""
