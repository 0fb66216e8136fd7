"""Search over calls: an index beside the store that follows it, and queries with facets."""
