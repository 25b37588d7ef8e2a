//! What proves who somebody is beside the password.

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{MemberId, Secret, Timestamp};
use gatepost_people::SecretDigest;

use crate::{
    Result, Tx,
    engine::Conn,
    schema::{members, recovery_codes},
    types::Bind,
};

impl Tx<'_> {
    /// Sets the secret of a member's authenticator app, sealed, and the recovery codes; without a secret,
    /// takes the second factor away.
    pub async fn second_factor_set(
        &mut self,
        id: MemberId,
        authenticator: Option<&Secret>,
        codes: &[SecretDigest],
        now: Timestamp,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(members::table.find(Bind(id)))
            .set((
                members::authenticator.eq(Bind(authenticator)),
                members::authenticator_step.eq(None::<i64>),
                members::second_factor_at.eq(Bind(authenticator.map(|_| now))),
                members::updated_at.eq(Bind(now)),
            ))
            .execute(c)
            .await?);
        self.recovery_codes_set(id, codes).await
    }

    /// The sealed secrets of members' authenticator apps, by number of the member from behind `after`, at most
    /// `limit`; held against changes by others until the transaction ends if `lock`.
    pub async fn authenticator_all(
        &mut self,
        after: MemberId,
        limit: u32,
        lock: bool,
    ) -> Result<Vec<(MemberId, Secret)>> {
        let wanted = members::table
            .filter(members::id.gt(Bind(after)))
            .filter(members::authenticator.is_not_null())
            .order(members::id)
            .limit(limit.into());
        let columns = (members::id, members::authenticator.assume_not_null());
        Ok(match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => wanted.select(columns).load(*c).await?,
            Conn::Postgres(c) if lock => wanted.select(columns).for_no_key_update().load(*c).await?,
            Conn::Postgres(c) => wanted.select(columns).load(*c).await?,
        })
    }

    /// Stores the same secret of a member's app as it is sealed now.
    pub async fn authenticator_set_sealed(&mut self, id: MemberId, sealed: &Secret) -> Result<()> {
        on_conn!(self, |c| diesel::update(members::table.find(Bind(id)))
            .set(members::authenticator.eq(Bind(Some(sealed))))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Notes that the code of this step of the clock was used; whether no later one, and not this, was used
    /// before.
    pub async fn authenticator_step_use(&mut self, id: MemberId, step: i64) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::update(
            members::table
                .filter(members::id.eq(Bind(id)))
                .filter(members::authenticator_step.is_null().or(members::authenticator_step.lt(step)))
        )
        .set(members::authenticator_step.eq(Some(step)))
        .execute(c)
        .await?);
        Ok(rows > 0)
    }

    /// Sets a member's recovery codes in place of those before.
    pub async fn recovery_codes_set(&mut self, id: MemberId, codes: &[SecretDigest]) -> Result<()> {
        on_conn!(self, |c| {
            diesel::delete(recovery_codes::table.filter(recovery_codes::member_id.eq(Bind(id))))
                .execute(c)
                .await?;
            for code in codes {
                diesel::insert_into(recovery_codes::table)
                    .values((recovery_codes::member_id.eq(Bind(id)), recovery_codes::digest.eq(Bind(*code))))
                    .execute(c)
                    .await?;
            }
        });
        Ok(())
    }

    /// Uses a recovery code up; whether there was one.
    pub async fn recovery_code_use(&mut self, id: MemberId, code: SecretDigest) -> Result<bool> {
        let rows = on_conn!(self, |c| diesel::delete(
            recovery_codes::table
                .filter(recovery_codes::member_id.eq(Bind(id)))
                .filter(recovery_codes::digest.eq(Bind(code)))
        )
        .execute(c)
        .await?);
        Ok(rows > 0)
    }

    /// How many recovery codes a member has left.
    pub async fn recovery_code_count(&mut self, id: MemberId) -> Result<u64> {
        let count: i64 = on_conn!(self, |c| recovery_codes::table
            .filter(recovery_codes::member_id.eq(Bind(id)))
            .count()
            .get_result(c)
            .await?);
        Ok(count.unsigned_abs())
    }
}
