"""Judge backups: what check-rdb and check-aof find, against what somebody expects."""
