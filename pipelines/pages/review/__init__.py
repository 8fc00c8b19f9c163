"""The page on which an approver decides about a candidate."""
