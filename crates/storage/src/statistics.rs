//! What SQLite knows of how common its values are, and plans by.

use diesel::{
    QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types::BigInt,
};

use crate::Result;

#[derive(QueryableByName)]
struct Outdated {
    #[diesel(sql_type = BigInt)]
    tables: i64,
}

/// Looks again at tables that have grown or shrunk much. Nobody can write meanwhile, and each index is
/// counted as a whole. What is known of a table with less than 10,000 rows is forgotten: without, it counts
/// as large, which it may become before anybody looks again.
pub(crate) fn refresh(conn: &mut SqliteConnection) -> Result<()> {
    conn.immediate_transaction(|conn| {
        // All tables (0x10000) that are worth it (2), sampled (0x10); 1 asks, and does nothing.
        let outdated = diesel::sql_query("SELECT count(*) AS tables FROM pragma_optimize(0x10013)")
            .get_result::<Outdated>(conn)?;
        if outdated.tables > 0 {
            // Connections that are open read what is known when they see that the schema is another, and not
            // before.
            conn.batch_execute(
                "PRAGMA optimize(0x10012); DELETE FROM sqlite_stat1 WHERE CAST(stat AS INTEGER) < 10000; \
                 CREATE TABLE statistics_are_new (id INTEGER); DROP TABLE statistics_are_new",
            )?;
        }
        Ok(())
    })
}
