//! The features that Gatepost counts itself.

use crate::{Feature, FeatureKind, Reset};

gatepost_kernel::words! {
    /// A feature that Gatepost counts itself: what there is of it, or what is done with it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum OwnFeature {
        /// API keys that can be used.
        ApiKeys = "api_keys",
        /// Webhook endpoints.
        Webhooks = "webhooks",
        /// Workspaces, of the root workspace alone.
        Workspaces = "workspaces",
        /// SEO reports that are submitted.
        SeoReports = "seo_reports",
        /// Pixel events that are stored.
        PixelEvents = "pixel_events",
        /// Calls of tools of MCP servers.
        McpCalls = "mcp_calls",
    }
}

impl OwnFeature {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ApiKeys,
        Self::Webhooks,
        Self::Workspaces,
        Self::SeoReports,
        Self::PixelEvents,
        Self::McpCalls,
    ];

    /// Whether what is used of it is what there is.
    pub fn is_resource(self) -> bool {
        match self {
            Self::ApiKeys | Self::Webhooks | Self::Workspaces => true,
            Self::SeoReports | Self::PixelEvents | Self::McpCalls => false,
        }
    }

    /// How it is declared where the operator declares nothing else.
    pub fn declared(self) -> Feature {
        let label = match self {
            Self::ApiKeys => "API key",
            Self::Webhooks => "Webhook",
            Self::Workspaces => "Workspace",
            Self::SeoReports => "SEO report",
            Self::PixelEvents => "Pixel event",
            Self::McpCalls => "MCP call",
        };
        let kind = if self.is_resource() { FeatureKind::Limit } else { FeatureKind::Metered };
        let reset = if self.is_resource() { Feature::new(kind).reset } else { Reset::Monthly };
        Feature { label: Some(label.to_owned()), reset, ..Feature::new(kind) }
    }
}
