"""What strangers may send, and what must become of it."""
