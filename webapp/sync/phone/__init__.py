"""The telephone: who calls, what they mean, and whether it can be had. Plain values in and out; the
sentences are spoken by the views."""
