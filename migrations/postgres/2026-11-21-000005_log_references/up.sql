-- contract: rows that satisfied the references still do; nothing reads them.
-- Rows of logs come in by the thousand, and each reference costs a look-up and a lock of the row that it names. Workspaces and
-- endpoints are marked as deleted, never deleted, so these could not be broken.
ALTER TABLE events DROP CONSTRAINT events_workspace_id_fkey;
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_workspace_id_fkey;
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_endpoint_id_fkey;
ALTER TABLE entitlement_usage DROP CONSTRAINT entitlement_usage_workspace_id_fkey;
