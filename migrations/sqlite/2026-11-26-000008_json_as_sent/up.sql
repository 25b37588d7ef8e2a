-- Nothing changes here: SQLite keeps JSON as text anyway. PostgreSQL does from now on too.
SELECT 1;
