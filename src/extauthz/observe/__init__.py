"""What happened, told once: one event type per happening, small adapters that write it down."""
