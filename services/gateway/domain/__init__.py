"""What the gateway decides by itself: keys and what they may do. Standard library only."""
