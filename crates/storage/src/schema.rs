//! The tables as both engines have them. A test compares this file with what the migrations make.

use crate::types::{Instant, JsonDoc};

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    workspaces (id) {
        id -> BigInt,
        name -> Text,
        slug -> Text,
        tier -> Text,
        settings -> Text,
        created_at -> Instant,
        updated_at -> Instant,
        deleted_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Instant, JsonDoc};

    api_keys (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        name -> Text,
        prefix -> Text,
        digest -> Binary,
        scopes -> JsonDoc,
        rate_limit_tier -> Nullable<Text>,
        allowed_ips -> JsonDoc,
        expires_at -> Nullable<Instant>,
        last_used_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        revoked_at -> Nullable<Instant>,
        rotated_from_id -> Nullable<BigInt>,
        rotated_to_id -> Nullable<BigInt>,
        grace_period_ends_at -> Nullable<Instant>,
        chain_id -> Nullable<BigInt>,
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
    use super::{Instant, JsonDoc};

    audit_log (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        action -> Text,
        actor_type -> Text,
        actor_id -> Nullable<BigInt>,
        actor_workspace_id -> Nullable<BigInt>,
        target_type -> Text,
        target_id -> BigInt,
        request_id -> Nullable<Text>,
        ip_address -> Nullable<Text>,
        details -> JsonDoc,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    events (sequence) {
        sequence -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        id -> Text,
        event_type -> Text,
        payload -> Text,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{Instant, JsonDoc};

    webhook_endpoints (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        url -> Text,
        description -> Nullable<Text>,
        events -> JsonDoc,
        headers -> JsonDoc,
        secret -> Text,
        previous_secrets -> JsonDoc,
        is_active -> Bool,
        disabled_reason -> Nullable<Text>,
        success_count -> BigInt,
        failure_count -> BigInt,
        consecutive_failures -> BigInt,
        last_delivery_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
        deleted_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    webhook_deliveries (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        endpoint_id -> BigInt,
        event_sequence -> BigInt,
        event_id -> Text,
        event_type -> Text,
        status -> Text,
        attempts -> BigInt,
        manual_retries -> BigInt,
        due_at -> Nullable<Instant>,
        claim_id -> Nullable<BigInt>,
        response_code -> Nullable<BigInt>,
        error -> Nullable<Text>,
        delivered_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    webhook_attempts (delivery_id, number) {
        delivery_id -> BigInt,
        number -> BigInt,
        started_at -> Instant,
        duration_ms -> BigInt,
        response_code -> Nullable<BigInt>,
        response_body -> Nullable<Text>,
        error -> Nullable<Text>,
    }
}

diesel::joinable!(webhook_deliveries -> webhook_endpoints (endpoint_id));
diesel::joinable!(webhook_deliveries -> events (event_sequence));
diesel::allow_tables_to_appear_in_same_query!(webhook_deliveries, webhook_endpoints, events);

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    changes (id) {
        id -> BigInt,
        subject_type -> Text,
        subject_id -> BigInt,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    idempotency_records (api_key_id, idempotency_key) {
        api_key_id -> BigInt,
        idempotency_key -> Text,
        workspace_id -> BigInt,
        environment -> Text,
        fingerprint -> Binary,
        status -> Integer,
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
    api_key_usage (api_key_id, day) {
        api_key_id -> BigInt,
        day -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        successes -> BigInt,
        redirects -> BigInt,
        refusals -> BigInt,
        failures -> BigInt,
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
    use super::Instant;

    entitlement_usage (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        feature -> Text,
        quantity -> BigInt,
        period_start -> Instant,
        reset_at -> Nullable<Instant>,
        used -> BigInt,
        limit_value -> Nullable<BigInt>,
        soft -> Bool,
        plan -> Text,
        reason -> Nullable<Text>,
        metadata -> Nullable<Text>,
        operation -> Text,
        requested -> Nullable<BigInt>,
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
    use super::Instant;

    seo_reports (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        url -> Text,
        performance -> Nullable<BigInt>,
        accessibility -> Nullable<BigInt>,
        best_practices -> Nullable<BigInt>,
        seo -> Nullable<BigInt>,
        errors -> BigInt,
        warnings -> BigInt,
        infos -> BigInt,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::Instant;

    seo_issues (id) {
        id -> BigInt,
        workspace_id -> BigInt,
        environment -> Text,
        report_id -> BigInt,
        url -> Text,
        issue_type -> Text,
        severity -> BigInt,
        details -> Text,
        created_at -> Instant,
    }
}

diesel::joinable!(seo_issues -> seo_reports (report_id));
diesel::allow_tables_to_appear_in_same_query!(seo_issues, seo_reports);

diesel::table! {
    pixel_domains (domain) {
        domain -> Text,
        workspace_id -> BigInt,
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
    schema_compatibility (migration) {
        migration -> Text,
        oldest_version -> Text,
    }
}
