"""Long, randomised loads."""
