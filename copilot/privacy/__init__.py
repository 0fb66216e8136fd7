"""Personal information out of everything that is stored, shown, logged or sent to a model.

``find.find_pii`` finds it (pure), ``masker.Masker`` replaces it by per-call tokens. A baseline of rules: see docs/reference/privacy.md for
what it finds and what it does not.
"""
