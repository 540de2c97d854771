"""The standards on paper: JWS, JWK, JWT (RFC 7515, 7517, 7518, 7519, 7638, 8037), compact and strict."""
