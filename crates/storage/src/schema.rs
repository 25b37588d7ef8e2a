//! The tables as both engines have them. A test compares this file with what the migrations make.

use crate::types::{Count, Digest, HttpStatus, Id, Instant, JsonDoc, JsonKept, JsonText, Word};

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Instant, JsonText, Word};

    workspaces (id) {
        id -> Id,
        name -> Text,
        slug -> Text,
        tier -> Text,
        settings -> JsonText,
        created_at -> Instant,
        updated_at -> Instant,
        deleted_at -> Nullable<Instant>,
        external_id -> Nullable<Word>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Digest, Id, Instant, JsonDoc, JsonText, Word};

    api_keys (id) {
        id -> Id,
        workspace_id -> Id,
        environment -> Word,
        name -> Text,
        prefix -> Text,
        digest -> Digest,
        scopes -> JsonDoc,
        rate_limit_tier -> Nullable<Text>,
        allowed_ips -> JsonDoc,
        expires_at -> Nullable<Instant>,
        last_used_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        revoked_at -> Nullable<Instant>,
        rotated_from_id -> Nullable<Id>,
        rotated_to_id -> Nullable<Id>,
        grace_period_ends_at -> Nullable<Instant>,
        chain_id -> Nullable<Id>,
        external_id -> Nullable<Word>,
        metadata -> JsonText,
        disabled_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    server_secrets (name) {
        name -> Text,
        value -> Binary,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Instant, JsonDoc, Word};

    audit_log (id) {
        id -> Id,
        workspace_id -> Id,
        environment -> Word,
        action -> Text,
        actor_type -> Text,
        actor_id -> Nullable<Id>,
        actor_workspace_id -> Nullable<Id>,
        target_type -> Text,
        target_id -> Id,
        request_id -> Nullable<Text>,
        ip_address -> Nullable<Text>,
        details -> JsonDoc,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Instant, Word};

    events (sequence) {
        sequence -> Id,
        workspace_id -> Id,
        environment -> Word,
        id -> Word,
        event_type -> Text,
        payload -> Text,
        created_at -> Instant,
        request_id -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Id, Instant, JsonDoc, Word};

    webhook_endpoints (id) {
        id -> Id,
        workspace_id -> Id,
        environment -> Word,
        url -> Text,
        description -> Nullable<Text>,
        events -> JsonDoc,
        headers -> JsonDoc,
        secret -> Word,
        previous_secrets -> JsonDoc,
        is_active -> Bool,
        disabled_reason -> Nullable<Text>,
        success_count -> Count,
        failure_count -> Count,
        consecutive_failures -> Count,
        last_delivery_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        deleted_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Id, Instant, Word};

    webhook_deliveries (id) {
        id -> Id,
        workspace_id -> Id,
        environment -> Word,
        endpoint_id -> Id,
        event_sequence -> Id,
        event_id -> Word,
        event_type -> Text,
        status -> Word,
        attempts -> Count,
        manual_retries -> Count,
        due_at -> Nullable<Instant>,
        claim_id -> Nullable<Id>,
        response_code -> Nullable<Count>,
        error -> Nullable<Text>,
        delivered_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Id, Instant};

    webhook_attempts (delivery_id, number) {
        delivery_id -> Id,
        number -> Count,
        started_at -> Instant,
        duration_ms -> Count,
        response_code -> Nullable<Count>,
        response_body -> Nullable<Text>,
        error -> Nullable<Text>,
    }
}

diesel::joinable!(webhook_deliveries -> webhook_endpoints (endpoint_id));
diesel::joinable!(webhook_deliveries -> events (event_sequence));
diesel::allow_tables_to_appear_in_same_query!(webhook_deliveries, webhook_endpoints, events);

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Instant};

    changes (id) {
        id -> Id,
        subject_type -> Text,
        subject_id -> Id,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Digest, HttpStatus, Id, Instant, Word};

    idempotency_records (api_key_id, idempotency_key) {
        api_key_id -> Id,
        idempotency_key -> Text,
        workspace_id -> Id,
        environment -> Word,
        fingerprint -> Digest,
        status -> HttpStatus,
        sealed -> Bool,
        content_type -> Text,
        body -> Binary,
        created_at -> Instant,
        expires_at -> Instant,
    }
}

diesel::joinable!(api_keys -> workspaces (workspace_id));
diesel::allow_tables_to_appear_in_same_query!(api_keys, workspaces);

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Id, Word};

    api_key_usage (api_key_id, day) {
        api_key_id -> Id,
        day -> Count,
        workspace_id -> Id,
        environment -> Word,
        successes -> Count,
        redirects -> Count,
        refusals -> Count,
        failures -> Count,
    }
}

diesel::table! {
    api_key_day_leases (api_key_id, day) {
        api_key_id -> BigInt,
        day -> BigInt,
        leased -> BigInt,
    }
}

diesel::table! {
    workspace_day_leases (workspace_id, day) {
        workspace_id -> BigInt,
        day -> BigInt,
        leased -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    entitlement_counters (workspace_id, environment, feature, period_start) {
        workspace_id -> BigInt,
        environment -> Text,
        feature -> Text,
        period_start -> Instant,
        used -> BigInt,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Id, Instant, JsonText, Word};

    entitlement_usage (id) {
        id -> Id,
        workspace_id -> Id,
        environment -> Word,
        feature -> Text,
        quantity -> Count,
        period_start -> Instant,
        reset_at -> Nullable<Instant>,
        used -> Count,
        limit_value -> Nullable<Count>,
        soft -> Bool,
        plan -> Text,
        reason -> Nullable<Text>,
        metadata -> Nullable<JsonText>,
        operation -> Word,
        requested -> Nullable<Count>,
        idempotency_key -> Nullable<Text>,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    entitlement_alerts (workspace_id, environment, feature, period_start, threshold) {
        workspace_id -> BigInt,
        environment -> Text,
        feature -> Text,
        period_start -> Instant,
        threshold -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Id, Instant, Word};

    seo_reports (id) {
        id -> Id,
        workspace_id -> Id,
        environment -> Word,
        url -> Text,
        performance -> Nullable<Count>,
        accessibility -> Nullable<Count>,
        best_practices -> Nullable<Count>,
        seo -> Nullable<Count>,
        errors -> Count,
        warnings -> Count,
        infos -> Count,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Id, Instant, JsonText, Word};

    seo_issues (id) {
        id -> Id,
        workspace_id -> Id,
        environment -> Word,
        report_id -> Id,
        url -> Text,
        issue_type -> Text,
        severity -> Count,
        details -> JsonText,
        created_at -> Instant,
    }
}

diesel::joinable!(seo_issues -> seo_reports (report_id));
diesel::allow_tables_to_appear_in_same_query!(seo_issues, seo_reports);

diesel::table! {
    use diesel::sql_types::*;
    use super::Id;

    pixel_domains (domain) {
        domain -> Text,
        workspace_id -> Id,
    }
}

diesel::joinable!(pixel_domains -> workspaces (workspace_id));
diesel::allow_tables_to_appear_in_same_query!(pixel_domains, workspaces);

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    pixel_events (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        event -> Text,
        url -> Text,
        referrer -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        network -> Nullable<Text>,
        properties -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    pixel_counts (workspace_id, environment, dimension, slot, event, value) {
        workspace_id -> BigInt,
        environment -> Text,
        dimension -> Text,
        slot -> BigInt,
        event -> Text,
        value -> Text,
        count -> BigInt,
    }
}

diesel::table! {
    request_counts (workspace_id, environment, slot, api_key_id, status_class) {
        workspace_id -> BigInt,
        environment -> Text,
        slot -> BigInt,
        api_key_id -> BigInt,
        status_class -> BigInt,
        count -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Id;

    resource_types (id) {
        id -> Id,
        name -> Text,
        declaration -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Id;

    resource_fields (type_id, number) {
        type_id -> Id,
        number -> BigInt,
        name -> Text,
        place -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Instant, JsonKept, Word};

    records (id) {
        id -> Id,
        type_id -> Id,
        workspace_id -> Id,
        environment -> Word,
        public_id -> Text,
        created_at -> Instant,
        updated_at -> Instant,
        t1 -> Nullable<Text>,
        t2 -> Nullable<Text>,
        t3 -> Nullable<Text>,
        t4 -> Nullable<Text>,
        t5 -> Nullable<Text>,
        t6 -> Nullable<Text>,
        t7 -> Nullable<Text>,
        t8 -> Nullable<Text>,
        n1 -> Nullable<BigInt>,
        n2 -> Nullable<BigInt>,
        n3 -> Nullable<BigInt>,
        n4 -> Nullable<BigInt>,
        n5 -> Nullable<BigInt>,
        n6 -> Nullable<BigInt>,
        n7 -> Nullable<BigInt>,
        n8 -> Nullable<BigInt>,
        data -> JsonKept,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Word};

    record_keys (type_id, field_number, workspace_id, environment, value) {
        type_id -> Id,
        field_number -> BigInt,
        workspace_id -> Id,
        environment -> Word,
        value -> Text,
        record_id -> Id,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Word};

    record_purges (id) {
        id -> BigInt,
        type_id -> Id,
        workspace_id -> Id,
        environment -> Word,
        parent_id -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Word};

    record_items (type_id, field_number, workspace_id, environment, value, record_id) {
        type_id -> Id,
        field_number -> BigInt,
        workspace_id -> Id,
        environment -> Word,
        value -> Text,
        record_id -> Id,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Instant, Word};

    members (id) {
        id -> Id,
        email -> Word,
        email_folded -> Text,
        name -> Text,
        password_hash -> Word,
        authenticator -> Nullable<Word>,
        authenticator_step -> Nullable<BigInt>,
        second_factor_at -> Nullable<Instant>,
        last_seen_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        disabled_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Id, Instant, Word};

    memberships (id) {
        id -> Id,
        member_id -> Id,
        workspace_id -> Id,
        role -> Word,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Digest, Id};

    recovery_codes (member_id, digest) {
        member_id -> Id,
        digest -> Digest,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Digest, Id, Instant, Word};

    invitations (id) {
        id -> Id,
        workspace_id -> Id,
        email -> Nullable<Word>,
        email_folded -> Nullable<Text>,
        role -> Word,
        digest -> Digest,
        invited_by -> Nullable<Id>,
        created_at -> Instant,
        expires_at -> Instant,
        accepted_at -> Nullable<Instant>,
        revoked_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Digest, Id, Instant};

    password_resets (member_id) {
        member_id -> Id,
        digest -> Digest,
        expires_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Digest, Id, Instant};

    sessions (id) {
        id -> Id,
        digest -> Digest,
        member_id -> Id,
        workspace_id -> Id,
        created_at -> Instant,
        last_used_at -> Instant,
        authenticated_at -> Instant,
        awaits_second_factor -> Bool,
        ip_address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Count, Digest, Instant};

    sign_in_failures (subject) {
        subject -> Digest,
        count -> Count,
        last_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Digest, Id, Instant};

    form_submissions (digest) {
        digest -> Digest,
        member_id -> Id,
        outcome -> Binary,
        expires_at -> Instant,
    }
}

diesel::joinable!(memberships -> workspaces (workspace_id));
diesel::allow_tables_to_appear_in_same_query!(memberships, workspaces);
diesel::allow_tables_to_appear_in_same_query!(memberships, sessions, members);

diesel::table! {
    schema_compatibility (migration) {
        migration -> Text,
        oldest_version -> Text,
    }
}

/// What can be added to within the database; diesel knows only of its own types that they are numbers.
macro_rules! counters {
    ($($table:ident::$column:ident),+ $(,)?) => {
        $(diesel::operator_allowed!($table::$column, Add, add);)+
    };
}

counters!(
    webhook_endpoints::success_count,
    webhook_endpoints::failure_count,
    webhook_endpoints::consecutive_failures,
    webhook_deliveries::manual_retries,
    api_key_usage::successes,
    api_key_usage::redirects,
    api_key_usage::refusals,
    api_key_usage::failures,
);
