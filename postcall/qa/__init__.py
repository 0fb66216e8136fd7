"""Quality scoring by the bank's rubric. Pure."""
