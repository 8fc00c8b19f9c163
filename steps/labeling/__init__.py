"""Labels: class names, their order, rules."""
