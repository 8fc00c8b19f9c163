"""Names of the columns that Fourscore adds to a table."""

ROW = "_row"
LABEL_SOURCE = "_label_source"
