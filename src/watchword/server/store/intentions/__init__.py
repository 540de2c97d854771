"""The store's topics: what may be done with each, one file a topic.

Every intention writes the audit event and the revocation entry of what it does, so neither exists without the other,
and a race is answered by an outcome, not by an exception.
"""
