"""Who spoke when in a recording with one channel, and which of them is the agent."""
