"""What every model call goes through: where it leads, its attempts, what it cost, and its record."""
