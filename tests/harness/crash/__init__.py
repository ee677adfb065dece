"""Real brokers that are killed under load, again and again, and clients that remember what was acknowledged to them."""
