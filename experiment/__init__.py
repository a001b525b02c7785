"""What an experiment is, as pure functions and plain values: no I/O, no clock, no hidden randomness."""
