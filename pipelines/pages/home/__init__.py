"""The home page: what is in use by whose signature, what was promised and measured, what waits for a decision."""
