"""The taught examples, as embeddings."""
