//! What the engine knows of how common its values are, and plans by.

use diesel::{QueryableByName, sql_types::BigInt};
use diesel_async::RunQueryDsl;

use crate::{Result, Tx, engine::Conn};

#[derive(QueryableByName)]
struct Outdated {
    #[diesel(sql_type = BigInt)]
    tables: i64,
}

impl Tx<'_> {
    /// Lets the engine look again at tables that have grown or shrunk much, where it does not by itself; at most some thousand rows of
    /// each index are read.
    pub async fn statistics_refresh(&mut self) -> Result<()> {
        match &mut self.0 {
            Conn::Sqlite(c) => {
                // All tables (0x10000) that are worth it (2), reading a part of them (0x10); 1 asks, and does nothing.
                let outdated = diesel::sql_query("SELECT count(*) AS tables FROM pragma_optimize(0x10013)")
                    .get_result::<Outdated>(*c)
                    .await?;
                if outdated.tables == 0 {
                    return Ok(());
                }
                diesel::sql_query("PRAGMA optimize(0x10012)").execute(*c).await?;
                // Others that are open read what is known when they see that the schema is another, and not before.
                diesel::sql_query("CREATE TABLE statistics_are_new (id INTEGER)").execute(*c).await?;
                diesel::sql_query("DROP TABLE statistics_are_new").execute(*c).await?;
            }
            // The server does it by itself.
            Conn::Postgres(_) => {}
        }
        Ok(())
    }
}
