//! The words of rows that can be searched, on SQLite: each under whom the row belongs to, so that neither the
//! time of a search nor its cost tells of anybody else's rows. PostgreSQL has an index of its own making.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{WorkspaceId, text};

use crate::{Result, Tx, engine::Conn};

/// A table whose rows can be searched. Its words are in `{table}_search_words`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Searched {
    /// Each is its own owner.
    Workspaces,
    ApiKeys,
    WebhookEndpoints,
}

impl Searched {
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Workspaces => "workspaces",
            Self::ApiKeys => "api_keys",
            Self::WebhookEndpoints => "webhook_endpoints",
        }
    }
}

impl Tx<'_> {
    /// Lets a row be found by the words of these texts, and by no others.
    pub(crate) async fn search_words_set(
        &mut self,
        searched: Searched,
        owner: WorkspaceId,
        id: i64,
        texts: &[&str],
    ) -> Result<()> {
        self.search_words_delete(searched, &[id]).await?;
        let Conn::Sqlite(c) = &mut self.0 else { return Ok(()) };
        let insert = format!(
            "INSERT OR IGNORE INTO {}_search_words (owner, word, id) VALUES (?, ?, ?)",
            searched.table()
        );
        for word in texts.iter().flat_map(|text| text::words(text)) {
            let insert = diesel::sql_query(&insert).bind::<BigInt, _>(owner.0).bind::<Text, _>(word);
            insert.bind::<BigInt, _>(id).execute(*c).await?;
        }
        Ok(())
    }

    /// Lets rows be found no more.
    pub(crate) async fn search_words_delete(&mut self, searched: Searched, ids: &[i64]) -> Result<()> {
        let Conn::Sqlite(c) = &mut self.0 else { return Ok(()) };
        let delete = format!("DELETE FROM {}_search_words WHERE id = ?", searched.table());
        for id in ids {
            diesel::sql_query(&delete).bind::<BigInt, _>(*id).execute(*c).await?;
        }
        Ok(())
    }
}
