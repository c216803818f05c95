"""The pure heart: values and decisions. No I/O, clock, randomness, logging or event loop in here."""
