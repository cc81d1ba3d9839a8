"""A sample resident system as a city hall may have had for twenty years: tables, invented residents, and no password.

Everything it knows of who is there comes from authd: a browser arrives with a ticket from the seat's screen, and what
the browser may see ends with that person's session, whatever the browser holds.
"""
