//! Accounts of people, and their passwords.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use gatepost_kernel::{MemberId, Secret, Timestamp};
use gatepost_people::{Email, Member, PasswordHash, SecretDigest};

use crate::{
    Result, Tx,
    engine::Conn,
    schema::{members, password_resets},
    types::{Bind, Row, changes, rows, values},
};

rows! {
    Member: members {
        id, email, name, created_at, updated_at, last_seen_at, second_factor_at, disabled_at,
    }
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// E-mail address.
    pub email: Email,
    /// What people call the member.
    pub name: String,
    /// What is kept of the password.
    pub password: PasswordHash,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct MemberChanges {
    /// E-mail address.
    pub email: Option<Email>,
    /// What people call the member.
    pub name: Option<String>,
    /// Since when the account is disabled; `Some(None)` if it is not any more.
    pub disabled_at: Option<Option<Timestamp>>,
}

/// What proves who a member is.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// What is kept of the password.
    pub password: PasswordHash,
    /// The secret of the authenticator app, sealed; none if there is none.
    pub authenticator: Option<Secret>,
    /// The step of the clock whose code was used last.
    pub authenticator_step: Option<i64>,
}

impl Tx<'_> {
    /// Makes an account; `None` if the address has one.
    pub async fn member_insert(&mut self, new: &NewMember) -> Result<Option<Member>> {
        let row: Option<Row<Member>> = on_conn!(self, |c| diesel::insert_into(members::table)
            .values((
                values!(members from new => email, name, created_at),
                members::email_folded.eq(new.email.folded()),
                members::password_hash.eq(Bind(new.password.to_stored())),
                members::updated_at.eq(Bind(new.created_at)),
            ))
            .on_conflict_do_nothing()
            .returning(Row::<Member>::as_returning())
            .get_result(c)
            .await
            .optional())?;
        Ok(row.map(|Row(member)| member))
    }

    /// An account by its number.
    pub async fn member_get(&mut self, id: MemberId) -> Result<Option<Member>> {
        let row: Option<Row<Member>> = on_conn!(self, |c| members::table
            .find(Bind(id))
            .select(Row::<Member>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(member)| member))
    }

    /// The account of an address, however it is cased.
    pub async fn member_by_email(&mut self, email: &Email) -> Result<Option<Member>> {
        let row: Option<Row<Member>> = on_conn!(self, |c| members::table
            .filter(members::email_folded.eq(email.folded()))
            .select(Row::<Member>::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(|Row(member)| member))
    }

    /// Accounts by their numbers, in any order.
    pub async fn members_by_id(&mut self, ids: &[MemberId]) -> Result<Vec<Member>> {
        let rows: Vec<Row<Member>> = on_conn!(self, |c| members::table
            .filter(members::id.eq_any(ids.iter().map(Bind)))
            .select(Row::<Member>::as_select())
            .load(c)
            .await?);
        Ok(Row::all(rows))
    }

    /// What proves who a member is, held against changes by others until the transaction ends if `lock`.
    pub async fn member_credentials(&mut self, id: MemberId, lock: bool) -> Result<Option<Credentials>> {
        type Found = (Bind<Secret>, Bind<Option<Secret>>, Option<i64>);
        let found = members::table.find(Bind(id));
        let columns = (members::password_hash, members::authenticator, members::authenticator_step);
        let found: Option<Found> = match &mut self.0 {
            // SQLite's one writer is already alone.
            Conn::Sqlite(c) => found.select(columns).first(*c).await.optional()?,
            Conn::Postgres(c) if lock => {
                found.select(columns).for_no_key_update().first(*c).await.optional()?
            }
            Conn::Postgres(c) => found.select(columns).first(*c).await.optional()?,
        };
        Ok(found.map(|(Bind(password), Bind(authenticator), authenticator_step)| Credentials {
            password: PasswordHash::from_stored(password),
            authenticator,
            authenticator_step,
        }))
    }

    /// Changes an account; `None` if there is none. An address that has another account is a
    /// [`crate::StorageError::Duplicate`].
    pub async fn member_update(
        &mut self,
        id: MemberId,
        changes: MemberChanges,
        now: Timestamp,
    ) -> Result<Option<Member>> {
        let folded = changes.email.as_ref().map(Email::folded);
        let row: Option<Row<Member>> = on_conn!(self, |c| diesel::update(members::table.find(Bind(id)))
            .set((
                changes!(members from changes => email, name, disabled_at),
                folded.as_ref().map(|folded| members::email_folded.eq(folded)),
                members::updated_at.eq(Bind(now)),
            ))
            .returning(Row::<Member>::as_returning())
            .get_result(c)
            .await
            .optional())?;
        Ok(row.map(|Row(member)| member))
    }

    /// Sets another password.
    pub async fn member_set_password(
        &mut self,
        id: MemberId,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<()> {
        on_conn!(self, |c| diesel::update(members::table.find(Bind(id)))
            .set((members::password_hash.eq(Bind(password.to_stored())), members::updated_at.eq(Bind(now)),))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Notes when a member was there.
    pub async fn member_set_seen(&mut self, id: MemberId, now: Timestamp) -> Result<()> {
        on_conn!(self, |c| diesel::update(members::table.find(Bind(id)))
            .set(members::last_seen_at.eq(Bind(Some(now))))
            .execute(c)
            .await?);
        Ok(())
    }

    /// Lets a member choose another password by a link, in place of any such link before.
    pub async fn password_reset_set(
        &mut self,
        id: MemberId,
        digest: SecretDigest,
        expires_at: Timestamp,
    ) -> Result<()> {
        on_conn!(self, |c| {
            diesel::delete(password_resets::table.find(Bind(id))).execute(c).await?;
            diesel::insert_into(password_resets::table)
                .values((
                    password_resets::member_id.eq(Bind(id)),
                    password_resets::digest.eq(Bind(digest)),
                    password_resets::expires_at.eq(Bind(expires_at)),
                ))
                .execute(c)
                .await?
        });
        Ok(())
    }

    /// Whom a link that works at `now` lets choose another password.
    pub async fn password_reset_get(
        &mut self,
        digest: SecretDigest,
        now: Timestamp,
    ) -> Result<Option<MemberId>> {
        Ok(on_conn!(self, |c| password_resets::table
            .filter(password_resets::digest.eq(Bind(digest)))
            .filter(password_resets::expires_at.gt(Bind(now)))
            .select(password_resets::member_id)
            .first(c)
            .await
            .optional())?)
    }

    /// Lets a member's link work no more; whether there was one.
    pub async fn password_reset_delete(&mut self, id: MemberId) -> Result<bool> {
        let rows =
            on_conn!(self, |c| diesel::delete(password_resets::table.find(Bind(id))).execute(c).await?);
        Ok(rows > 0)
    }
}
