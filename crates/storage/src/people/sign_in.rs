//! Who could not say who they are, and how often.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;
use gatepost_kernel::Timestamp;
use gatepost_people::Failures;

use crate::{Result, Tx, engine::Conn, schema::sign_in_failures, types::Bind};

impl Tx<'_> {
    /// The failures of a subject, held against changes by others until the transaction ends; none if there
    /// were none.
    pub async fn sign_in_failures_lock(&mut self, subject: [u8; 32]) -> Result<Option<Failures>> {
        if let Conn::Postgres(c) = &mut self.0 {
            // There may be no row to hold. SQLite's one writer is already alone.
            let (key, _) = subject.split_at(8);
            let key = i64::from_be_bytes(key.try_into().unwrap_or_default());
            diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
                .bind::<diesel::sql_types::BigInt, _>(key)
                .execute(*c)
                .await?;
        }
        let found: Option<(Bind<u32>, Timestamp)> = on_conn!(self, |c| sign_in_failures::table
            .find(Bind(subject))
            .select((sign_in_failures::count, sign_in_failures::last_at))
            .first(c)
            .await
            .optional())?;
        Ok(found.map(|(Bind(count), last_at)| Failures { count, last_at }))
    }

    /// Notes the failures of a subject; those of none are forgotten.
    pub async fn sign_in_failures_set(
        &mut self,
        subject: [u8; 32],
        failures: Option<Failures>,
    ) -> Result<()> {
        on_conn!(self, |c| {
            diesel::delete(sign_in_failures::table.find(Bind(subject))).execute(c).await?;
            if let Some(failures) = failures {
                diesel::insert_into(sign_in_failures::table)
                    .values((
                        sign_in_failures::subject.eq(Bind(subject)),
                        sign_in_failures::count.eq(Bind(failures.count)),
                        sign_in_failures::last_at.eq(Bind(failures.last_at)),
                    ))
                    .execute(c)
                    .await?;
            }
        });
        Ok(())
    }

    /// Forgets failures whose last one was before `before`, at most `limit`; how many.
    pub async fn sign_in_failures_delete_before(&mut self, before: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let old: Vec<Bind<[u8; 32]>> = sign_in_failures::table
                .filter(sign_in_failures::last_at.lt(Bind(before)))
                .order(sign_in_failures::last_at)
                .limit(limit.into())
                .select(sign_in_failures::subject)
                .load(c)
                .await?;
            diesel::delete(sign_in_failures::table.filter(sign_in_failures::subject.eq_any(&old)))
                .execute(c)
                .await?
        }))
    }
}
