DROP TABLE api_key_day_leases;
DROP TABLE api_key_usage;
