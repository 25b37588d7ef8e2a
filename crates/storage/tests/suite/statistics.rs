//! What the engines plan by.

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_types::Text};
use gatepost_storage::Engine;
use gatepost_test_support::both_engines;

use super::Db;

both_engines! { Db:
    statistics_are_looked_at_again,
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

async fn statistics_are_looked_at_again(db: Db) {
    let refresh = async || {
        db.storage.refresh_statistics(u64::MAX).await.expect("new statistics");
    };
    refresh().await;
    if db.storage.engine() != Engine::Sqlite {
        return;
    }
    let path = db.storage.path().and_then(|path| path.to_str()).expect("a path").to_owned();
    db.execute("CREATE TABLE spread (left_half INTEGER, right_half INTEGER)").await;
    db.execute("CREATE INDEX spread_left ON spread (left_half)").await;
    db.execute("CREATE INDEX spread_right ON spread (right_half)").await;
    // Opened once, as readers are.
    let mut open = SqliteConnection::establish(&path).expect("the file");
    let mut plan = || {
        let statement = "SELECT * FROM spread WHERE left_half = 1 AND right_half = 1";
        // Only what is run looks whether the schema is another, and a plan is not.
        diesel::sql_query(statement).execute(&mut open).expect("an answer");
        let steps: Vec<Step> =
            diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(&mut open).expect("a plan");
        steps.into_iter().map(|step| step.detail).collect::<String>()
    };
    let fill = |rows: u32, values: &str| {
        format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             INSERT INTO spread SELECT {values} FROM n"
        )
    };
    db.execute(&fill(10_000, "i, 1")).await;
    assert!(plan().contains("INDEX spread_right"), "a guess, and a bad one: {}", plan());
    refresh().await;
    assert!(plan().contains("INDEX spread_left"), "{}", plan());
    // The other way round, and more of it.
    db.execute("DELETE FROM spread").await;
    db.execute(&fill(120_000, "1, i")).await;
    refresh().await;
    assert!(plan().contains("INDEX spread_right"), "{}", plan());
    // A small table counts as one that nothing is known of.
    db.execute("DELETE FROM spread").await;
    db.execute(&fill(2_000, "i, 1")).await;
    refresh().await;
    assert!(plan().contains("INDEX spread_right"), "{}", plan());
    // A file that is larger is left alone.
    db.execute(&fill(20_000, "i, 1")).await;
    db.storage.refresh_statistics(1_000).await.expect("nothing to do");
    assert!(plan().contains("INDEX spread_right"), "{}", plan());
    // Nothing is left of it.
    let left: Vec<Step> =
        diesel::sql_query("SELECT name AS detail FROM sqlite_schema WHERE name LIKE 'statistics%'")
            .load(&mut SqliteConnection::establish(&path).expect("the file"))
            .expect("the schema");
    assert!(left.is_empty());
}
