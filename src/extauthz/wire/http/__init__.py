"""The HTTP doors: one module for each dialect, each reading only its own headers."""
