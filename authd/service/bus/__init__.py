"""The doors: one table of verbs over two transports, session events followed from the ledger, and a live tap."""
