"""Models for tables: encoding, preprocessing, fitting, networks and yardsticks."""
