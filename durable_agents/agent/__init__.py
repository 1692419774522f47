"""What an agent is: its definition, the catalogue, tools, context and budget."""
