"""Cedar rules, schema, settings and their tests: data, not code."""
