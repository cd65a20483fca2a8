"""Self-supervised training of a backbone on unlabelled tiles: views, heads, losses (docs/method.md F)."""
