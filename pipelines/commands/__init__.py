"""The commands, by what they are about. Each imports what it needs when it is called, so that ``--help`` answers at once."""
