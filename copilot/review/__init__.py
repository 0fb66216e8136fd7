"""Quality review by people: which calls are looked at, what they answered, how far they agree, and appeals."""
