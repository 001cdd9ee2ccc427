"""THE OUTSIDE WORLD: one module a neighbour, each with its own SDK, settings and secrets."""
