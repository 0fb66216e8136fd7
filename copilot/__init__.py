"""Pangting (旁听): a contact-center copilot for banks that sits in on every call."""

__version__ = "0.1.0"
