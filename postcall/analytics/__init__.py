"""What the center learns from finished calls. Pure: counts in, findings out."""
