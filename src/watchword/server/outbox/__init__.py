"""What leaves for people: mail."""
