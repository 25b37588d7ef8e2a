//! Delivers events to webhook endpoints: at least once, or until the schedule ends.
//!
//! An event is stored with one delivery for each endpoint that wants it ([`store`]), in the transaction of
//! whatever happened. Where this process has a free slot for the endpoint, the delivery is born leased by it
//! and handed over in memory ([`Dispatcher::hand_over`]) once the transaction is committed; everything else
//! waits in the table until some process claims it. A lease that ends, because its process has died, makes
//! its delivery due again.
//!
//! Slots are counted for each endpoint, each workspace and over all, so an endpoint that never answers holds
//! its own few, soon one, and a workspace half of all while another waits. What its plan gives of bytes per
//! minute bounds it too. No connection to the database is held while a request is in flight; what attempts
//! came to is written down in batches.

mod dispatcher;
mod fan_out;
mod metrics;
mod own_events;
mod record;
mod send;
mod settings;
mod slots;
mod throttle;

pub use dispatcher::{DeliverySettings, Dispatcher};
pub use fan_out::{Handovers, event, own_event, store};
pub use own_events::*;
pub use send::Sent;
pub use settings::WebhookSettings;
