"""What people read about a problem and a model, as Markdown."""
