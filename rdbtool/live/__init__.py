"""Live servers: connections, and what they send to their replicas."""
