"""Doorbells between tasks (``local``) and between nodes (``redis``). Losing a message is allowed and counted: the log is the truth."""
