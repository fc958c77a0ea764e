"""Cache invalidation: follows the purge log, purges the edge's and NGINX's caches."""
