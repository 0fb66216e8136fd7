"""Voice activity: probabilities from a model, and where utterances begin and end."""
