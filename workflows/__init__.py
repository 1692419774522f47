"""Workflows: one pattern or flow a file; deterministic, without input or output."""
