"""What limits cost: the cache."""
