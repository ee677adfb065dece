"""The sections of broker.ini, one file for those that belong together; every field is a row of the table."""
