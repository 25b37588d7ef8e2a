ALTER TABLE entitlement_usage DROP COLUMN operation, DROP COLUMN requested;
