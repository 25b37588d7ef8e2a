//! What forms came to that show a secret.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{MemberId, Timestamp};
use gatepost_people::SecretDigest;

use crate::{Result, Tx, schema::form_submissions, types::Bind};

impl Tx<'_> {
    /// Claims a form for its first submission; `false` if it was submitted before. Of several at once the others
    /// wait until the first is done.
    pub async fn form_submission_claim(
        &mut self,
        digest: SecretDigest,
        member: MemberId,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::insert_into(form_submissions::table)
            .values((
                form_submissions::digest.eq(Bind(digest)),
                form_submissions::member_id.eq(Bind(member)),
                form_submissions::outcome.eq(Vec::<u8>::new()),
                form_submissions::expires_at.eq(Bind(expires_at)),
            ))
            .on_conflict_do_nothing()
            .execute(c)
            .await?);
        Ok(rows > 0)
    }

    /// Keeps what a claimed form came to.
    pub async fn form_submission_set_outcome(&mut self, digest: SecretDigest, outcome: &[u8]) -> Result<()> {
        on_conn!(self, |c| diesel::update(form_submissions::table.find(Bind(digest)))
            .set(form_submissions::outcome.eq(outcome))
            .execute(c)
            .await?);
        Ok(())
    }

    /// What a form came to that was submitted before, if it still counts.
    pub async fn form_submission_get(
        &mut self,
        digest: SecretDigest,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>> {
        Ok(on_conn!(self, |c| form_submissions::table
            .find(Bind(digest))
            .filter(form_submissions::expires_at.gt(Bind(now)))
            .select(form_submissions::outcome)
            .first(c)
            .await
            .optional())?)
    }

    /// Forgets at most `limit` submissions that no longer count; how many.
    pub async fn form_submission_delete_expired(&mut self, now: Timestamp, limit: u32) -> Result<usize> {
        Ok(on_conn!(self, |c| {
            let old: Vec<Bind<SecretDigest>> = form_submissions::table
                .filter(form_submissions::expires_at.le(Bind(now)))
                .order(form_submissions::expires_at)
                .limit(limit.into())
                .select(form_submissions::digest)
                .load(c)
                .await?;
            diesel::delete(form_submissions::table.filter(form_submissions::digest.eq_any(&old)))
                .execute(c)
                .await?
        }))
    }
}
