"""Pages for people, as self-contained HTML."""
