ALTER TABLE entitlement_usage ADD FOREIGN KEY (workspace_id) REFERENCES workspaces (id);
ALTER TABLE webhook_deliveries ADD FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (id);
ALTER TABLE webhook_deliveries ADD FOREIGN KEY (workspace_id) REFERENCES workspaces (id);
ALTER TABLE events ADD FOREIGN KEY (workspace_id) REFERENCES workspaces (id);
