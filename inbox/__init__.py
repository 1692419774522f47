"""The reviewers' page: what waits for a person, and their decision on it."""
