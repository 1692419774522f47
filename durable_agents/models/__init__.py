"""What history records: inputs, results and errors."""
