"""What an agent may ask of the bank's own systems during a call: read-only questions over allowed views, and HTTP look-ups from files."""
