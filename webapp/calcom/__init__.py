"""How Cal.com speaks: client, payloads in our words, errors, signatures; all by plain values."""
