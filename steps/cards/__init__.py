"""The problem card and the model card, as Markdown."""
