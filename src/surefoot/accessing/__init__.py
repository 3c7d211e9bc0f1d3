"""Who may do what in an app: kept in its ledger, decided by `surefoot.access`, and told in the audit."""
