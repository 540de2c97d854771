"""The authorization server: faces over steps over domain over store (`watchword serve`)."""
