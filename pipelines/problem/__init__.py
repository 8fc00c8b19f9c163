"""The problem definition: its types, its YAML with line numbers, its schema for editors."""
