"""A stand-in for the outside world on loopback: OpenAI's HTTP API and Open-Meteo's.

It is deterministic and extractive: the model answers from the conversation and from what tools
returned, and invents nothing. `python -m durable_agents.simulator --port 8230` serves it.
"""

MODEL_NAME = "simulator-extractive-1"
EMBEDDING_MODEL_NAME = "simulator-embedding-1"
