"""Benchmarks: `python -m bench.suites.NAME` runs one.

They import `tests.support`, which starts servers and services as child processes, and `tests.deploy.conftest`,
which has the arguments of an installation on a throwaway host. So a benchmark runs the same set-up that the
tests check, and there is one implementation of it. The packages that are shipped import neither.
"""
