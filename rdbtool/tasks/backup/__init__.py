"""Take backups that are checked before they have a name, and drop the old ones that are no longer wanted."""
