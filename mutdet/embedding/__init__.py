"""Object embeddings: rotated crops, PCA, k-means."""
