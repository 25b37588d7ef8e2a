//! How SQLite words the failures that pass by themselves. It speaks no other language, and diesel hands on no
//! number.

use diesel::result::Error as DieselError;

/// A failure of the engine that passes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another connection writes.
    Locked,
    /// There is no room.
    Full,
    /// The disk does not do as it is told.
    Disk,
    /// The file, or one beside it, cannot be opened.
    CannotOpen,
    /// The file may not be written.
    ReadOnly,
    /// A transaction is open that should have ended.
    WithinTransaction,
}

const FAULTS: [(&str, Fault); 6] = [
    ("database is locked", Fault::Locked),
    ("database or disk is full", Fault::Full),
    ("disk I/O error", Fault::Disk),
    ("unable to open database file", Fault::CannotOpen),
    ("attempt to write a readonly database", Fault::ReadOnly),
    ("cannot start a transaction within a transaction", Fault::WithinTransaction),
];

impl Fault {
    /// The error that an error is, if it is one of them.
    pub(crate) fn of(error: &DieselError) -> Option<Self> {
        let DieselError::DatabaseError(_, info) = error else { return None };
        FAULTS.iter().find(|(words, _)| *words == info.message()).map(|(_, message)| *message)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

    use super::*;

    const TABLE: &str = "CREATE TABLE t (x); INSERT INTO t VALUES (1);";
    /// Where a child of the test that no file may grow in finds its database.
    const ON_SMALL_FILES: &str = "GATEPOST_TEST_SMALL_FILES";

    fn open(directory: &Path) -> SqliteConnection {
        let path = directory.join("x.db");
        SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a database")
    }

    fn error(conn: &mut SqliteConnection, sql: &str) -> Option<Fault> {
        let error = conn.batch_execute(sql).expect_err("a failure");
        Fault::of(&error)
    }

    /// Each of them as the engine itself words it.
    #[test]
    fn every_error_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut conn = open(directory.path());
        conn.batch_execute(TABLE).expect("a table");

        let mut other = open(directory.path());
        other.batch_execute("BEGIN IMMEDIATE").expect("a transaction");
        assert_eq!(error(&mut conn, "INSERT INTO t VALUES (2)"), Some(Fault::Locked));
        assert_eq!(error(&mut other, "BEGIN"), Some(Fault::WithinTransaction));
        drop(other);

        let grow = "PRAGMA max_page_count = 2; INSERT INTO t VALUES (zeroblob(100000))";
        assert_eq!(error(&mut conn, grow), Some(Fault::Full));

        conn.batch_execute("PRAGMA query_only = ON").expect("a setting");
        assert_eq!(error(&mut conn, "INSERT INTO t VALUES (2)"), Some(Fault::ReadOnly));
        drop(conn);

        let mut conn = open(directory.path());
        assert_eq!(error(&mut conn, "SELECT nothing"), None);
        conn.batch_execute("PRAGMA journal_mode = WAL").expect("a setting");
        drop(conn);
        // Something else stands where the write-ahead log belongs.
        fs::create_dir(directory.path().join("x.db-wal")).expect("a directory");
        let mut conn = open(directory.path());
        assert_eq!(error(&mut conn, "SELECT * FROM t"), Some(Fault::CannotOpen));
    }

    /// The disk fails for a process whose files may not grow, so the test calls itself as one.
    #[test]
    fn a_disk_that_fails_is_known() {
        if let Some(directory) = std::env::var_os(ON_SMALL_FILES) {
            let mut conn = open(Path::new(&directory));
            let grow = "PRAGMA journal_mode = WAL; INSERT INTO t VALUES (zeroblob(1000000))";
            assert_eq!(error(&mut conn, grow), Some(Fault::Disk));
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        open(directory.path()).batch_execute(TABLE).expect("a table");
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ && ulimit -S -f 64 && exec \"$@\"", "sh"])
            .arg(std::env::current_exe().expect("this program"))
            .args(["a_disk_that_fails_is_known", "--nocapture"])
            .env(ON_SMALL_FILES, directory.path())
            .output()
            .expect("this program again");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}
