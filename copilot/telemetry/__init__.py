"""Clock, logs and metrics. Everything is handed in; nothing is global."""
