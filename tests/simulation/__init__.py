"""The real code under a seeded clock, network and store."""
