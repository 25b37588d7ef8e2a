DELETE FROM schema_compatibility WHERE migration = '2026-12-05-000020_people';
DROP TABLE form_submissions;
DROP TABLE sign_in_failures;
DROP TABLE sessions;
DROP TABLE password_resets;
DROP TABLE invitations;
DROP TABLE recovery_codes;
DROP TABLE memberships;
DROP TABLE members;
