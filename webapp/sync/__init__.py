"""What keeps the two in step. Knows no Flask, no RQ, no request: plain values, a session, a client,
a clock's reading. Nothing in here commits; it returns what should happen next."""
