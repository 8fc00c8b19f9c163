"""The problem definition: types, YAML with line numbers, checks, a schema for editors."""
