"""The command line: the only room that sees both wings. Big imports happen inside commands."""
