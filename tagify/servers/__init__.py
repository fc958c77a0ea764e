"""Servers that Tagify runs for itself where there are none: a mongod and an S3 server.

They are the real ones, as child processes; the code that talks to them is the same as ever.
"""
