"""What may be told outside, and how: spans of traces, and secrets taken out of every text."""
