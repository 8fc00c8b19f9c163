"""Tables: from files of any common kind to typed Parquet, larger than memory."""
