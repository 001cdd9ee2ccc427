"""Running it for a team: who may do what, approval, audit, notices, and forgetting."""
