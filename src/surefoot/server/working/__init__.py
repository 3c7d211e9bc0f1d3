"""Making the runs that a server has accepted."""
