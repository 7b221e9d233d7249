"""The voice agent's door: signed requests in, sentences to read out."""
