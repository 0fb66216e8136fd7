"""Language models behind one OpenAI-compatible client, their prompts, and the checks on what they write."""
