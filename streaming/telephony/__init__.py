"""Telephony protocols, sans-I/O: one file per protocol behind one interface. Nothing here opens a socket or reads a clock."""
