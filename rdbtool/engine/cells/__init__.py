"""How a value lives in memory: a cell per type, mutable in place, and what cells are made of."""
