"""Embedded servers: a mongod and an S3 server, run as child processes.

They are the real servers, so services connect to them exactly as to external ones.
"""
