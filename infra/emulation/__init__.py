"""The parts of the emulator: what a definition means, and how a job of it runs as a process of this machine."""
