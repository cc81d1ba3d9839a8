"""The agent of a seat's desktop: it covers the screen whenever the seat is nobody's, and says when it is used.

`desk` decides and touches nothing; `run` lets it happen. What ends access is the end of the session in authd itself:
the agent only covers, and says at once when it cannot.
"""
