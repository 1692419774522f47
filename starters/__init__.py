"""Starter scripts, one a flow, and the command line that gathers them."""
