"""The revocation feed: the log as it is read, kept, signed and sent to guards."""
