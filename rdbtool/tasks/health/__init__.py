"""Tell whether the persistence of a live server works."""
