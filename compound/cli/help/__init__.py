"""Help: how it is laid out, its examples, and the words that a shell completes."""
