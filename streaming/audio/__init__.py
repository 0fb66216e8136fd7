"""From the wire's codec and rate to what recognition hears: mono, 16 kHz, s16le."""
