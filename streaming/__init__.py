"""Telephony ingest and streaming speech recognition."""
