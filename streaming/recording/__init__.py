"""Recording of both legs in the wire's codec: a local spool flushed every second, segments of ten seconds sealed to the media store."""
