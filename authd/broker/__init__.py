"""Stand between an application and an old system, and sign on as the person who is there: databases, terminals."""
