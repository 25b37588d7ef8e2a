DROP TABLE entitlement_alerts;
DROP TABLE entitlement_usage;
DROP TABLE entitlement_counters;
