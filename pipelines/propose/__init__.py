"""``fourscore new``: from a data file to a proposed problem."""
