"""What `make test-long` repeats: seeded, resumable, its results in docs/results/."""
