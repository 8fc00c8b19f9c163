"""Tables: from files of any common kind to typed Parquet with a pinned digest, larger than memory."""
