ALTER TABLE entitlement_usage DROP COLUMN operation;
ALTER TABLE entitlement_usage DROP COLUMN requested;
