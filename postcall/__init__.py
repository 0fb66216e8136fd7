"""After-call work: summary, ticket class, quality score."""
