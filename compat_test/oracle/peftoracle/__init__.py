"""What oracle.py is made of: one module per command, and the loading code they share."""
