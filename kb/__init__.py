"""The knowledge base: articles, index, retrieval, evaluation."""
