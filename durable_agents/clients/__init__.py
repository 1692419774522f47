"""Adapters around SDKs and protocols: the model, HTTP, the weather service."""
