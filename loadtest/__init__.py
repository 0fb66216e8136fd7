"""Synthetic calls, paced senders and scoring: what the copilot is tried on."""
