"""Files of any supported kind → articles. Each kind has one reader behind the port in ``kb.reading.port``; what is pure says so."""
