"""What `make bench` runs: each part measures, and writes rows through bench.common."""
