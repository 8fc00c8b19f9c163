"""The commands. Heavy imports happen inside of them, so that ``--help`` answers at once."""
