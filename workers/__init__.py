"""What runs as a service: the registry of roles, the worker processes, health, shutdown."""
