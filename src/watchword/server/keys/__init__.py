"""The issuer's keys: the ring that rotates them and the seal that keeps the private parts."""
