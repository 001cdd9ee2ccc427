"""kill -9, lost answers, doubled deliveries: real processes over real sockets."""
