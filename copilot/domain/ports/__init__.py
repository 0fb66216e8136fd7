"""The ports, split by area: what one room of the house needs of another, without knowing it."""
