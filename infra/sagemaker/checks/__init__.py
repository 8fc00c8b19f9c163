"""The parts of the definition lint."""
