"""The doors: each turns its wire into an `AuthRequest` and a `Decision` back into its wire, and no more."""
