"""What lies beneath the workflows: models, agents, clients, database, runtime."""

__version__ = "0.1.0"
