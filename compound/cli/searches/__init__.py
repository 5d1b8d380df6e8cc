"""Searches and studies on the command line: their options, how they are carried out, estimated and answered."""
