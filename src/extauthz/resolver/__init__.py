"""What a token means: the cache, one question at a time, and the question itself."""
