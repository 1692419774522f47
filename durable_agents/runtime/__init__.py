"""Wiring: settings, the connection to Temporal, embedded services, logging, telemetry."""
