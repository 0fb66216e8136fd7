"""Personal information out of everything that is stored, shown, logged or sent to a model.

``find.find_pii`` finds it (pure rules), ``masker.Masker`` replaces it by per-call tokens. How they decide, how well, and what they miss:
docs/explanation/privacy-at-the-door.md.
"""
