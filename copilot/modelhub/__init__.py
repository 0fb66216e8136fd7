"""Content-addressed model files: pinned by sha256, from a local directory, a mirror, the public hub or registry packages."""
