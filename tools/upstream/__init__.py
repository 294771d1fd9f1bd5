"""What `tools/upstream.py` is made of."""
