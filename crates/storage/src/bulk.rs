//! Statements that write many rows of PostgreSQL at once: one array for each column, which the server
//! unrolls. However many rows there are, the text is the same, so each connection prepares it once.

/// Declares such a statement: what it is given once (each value behind the text that leads to it), its text
/// around `unnest(…)`, and the arrays in the order of the columns.
macro_rules! bulk_statement {
    (
        $(#[$doc:meta])*
        $name:ident returning $returned:ty =
        $(given { $($lead:literal $given:ident: $given_rust:ty => $given_sql:ty),+ $(,)? })?
        $before:literal unnest $after:literal
        { $($field:ident: $rust:ty => $sql:ty),+ $(,)? }
    ) => {
        $(#[$doc])*
        struct $name<'a> {
            $($($given: $given_rust,)+)?
            $($field: Vec<$rust>,)+
        }

        bulk_statement!(empty $name { $($($given)+)? } { $($field)+ });

        impl ::diesel::query_builder::QueryFragment<::diesel::pg::Pg> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::pg::Pg>,
            ) -> ::diesel::QueryResult<()> {
                $($(
                    out.push_sql($lead);
                    out.push_bind_param::<$given_sql, _>(&self.$given)?;
                )+)?
                out.push_sql($before);
                let mut separator = " unnest(";
                $(
                    out.push_sql(::std::mem::replace(&mut separator, ", "));
                    out.push_bind_param::<::diesel::sql_types::Array<$sql>, _>(&self.$field)?;
                )+
                let _ = separator;
                out.push_sql(") ");
                out.push_sql($after);
                Ok(())
            }
        }

        impl ::diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl ::diesel::query_builder::Query for $name<'_> {
            type SqlType = $returned;
        }
    };
    // Without rows, where there is nothing that all of them have in common.
    (empty $name:ident {} { $($field:ident)+ }) => {
        impl $name<'_> {
            fn empty() -> Self {
                Self { $($field: Vec::new()),+ }
            }
        }
    };
    (empty $name:ident { $($given:ident)+ } $fields:tt) => {};
}

/// Lets such a statement run on SQLite too, where each row is written out. Its text depends on how many rows
/// there are, so it is for groups of one size, of which each connection prepares one text.
macro_rules! bulk_statement_for_sqlite {
    ($name:ident = $before:literal values $after:literal { $($field:ident => $sql:ty),+ $(,)? }) => {
        impl ::diesel::query_builder::QueryFragment<::diesel::sqlite::Sqlite> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::sqlite::Sqlite>,
            ) -> ::diesel::QueryResult<()> {
                out.push_sql($before);
                let rows = [$(self.$field.len()),+][0];
                for row in 0..rows {
                    let mut separator = if row == 0 { " VALUES (" } else { ", (" };
                    $(
                        out.push_sql(::std::mem::replace(&mut separator, ", "));
                        out.push_bind_param::<$sql, _>(&self.$field[row])?;
                    )+
                    let _ = separator;
                    out.push_sql(")");
                }
                out.push_sql($after);
                Ok(())
            }
        }
    };
}
