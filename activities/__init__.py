"""Activities: all input and output, one outside system or skill a file."""
