"""What each command shows, as a Document."""
