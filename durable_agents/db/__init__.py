"""Tables, queries and migrations (PostgreSQL)."""
