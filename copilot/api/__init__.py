"""The HTTP API, the agent's feed and the web UI's files, on FastAPI."""
