"""Monitoring: requests and answers of a model in use beside the rows that it was trained and tested on."""
