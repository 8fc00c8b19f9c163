"""The problem definition: types, YAML with line numbers, a schema for editors."""
