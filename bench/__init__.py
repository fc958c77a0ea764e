"""Benchmarks: `python -m bench.suites.NAME` runs one.

They import `tests.support`, which starts servers and services as child processes, and from
`tests.deploy.conftest` the command that installs a release on a throwaway host: a benchmark measures the
set-up that the tests check, and it is written once. The shipped packages import neither.
"""
