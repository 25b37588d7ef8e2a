//! What SIGHUP does: the configuration is read again, and what can be is put in force.

use gatepost_api::ServedCertificate;

use crate::{
    Failure,
    cli::{GlobalArgs, ServeArgs},
    config::{Config, ConfigErrors, Effective, Tls},
};

/// It has an effect on an empty database alone, and is not read again.
const FIRST_KEY: &str = "GATEPOST_BOOTSTRAP_KEY";

/// Reads the configuration again for a server that runs.
pub struct Reloader {
    arguments: (GlobalArgs, ServeArgs),
    /// What the server was started with.
    in_force: Vec<Effective>,
    /// What it shows, if it is the operator's own.
    certificate: Option<ServedCertificate>,
}

impl Reloader {
    /// For a server that was started with these arguments, and so with these settings.
    ///
    /// # Errors
    /// Those of [`Config::effective`].
    pub fn new(
        (global, serve): (&GlobalArgs, &ServeArgs),
        config: &Config,
        certificate: Option<ServedCertificate>,
    ) -> Result<Self, Failure> {
        let in_force = config.effective()?;
        Ok(Self { arguments: (global.clone(), serve.clone()), in_force, certificate })
    }

    /// Puts the certificate in force that there is now, and names what else has changed. What is wrong
    /// changes nothing.
    pub fn reload(&self) {
        let (global, serve) = &self.arguments;
        let read = Config::load_again(global, serve).and_then(|config| {
            let settings = config.effective()?;
            Ok((config, settings))
        });
        let mut errors = ConfigErrors::default();
        let Some((config, settings)) = errors.keep(read) else {
            for error in errors.sentences() {
                tracing::error!(
                    "the configuration was read again and has an error, so nothing changes: {error}"
                );
            }
            return;
        };
        let mut in_force_already: &[&str] = &[];
        if let (Some(certificate), Tls::Given(identity)) = (&self.certificate, config.tls) {
            certificate.replace(*identity);
            in_force_already = &["server.tls_cert", "server.tls_key"];
            tracing::info!("the certificate was read again and is shown to new connections");
        }
        let mut waiting = changed(&self.in_force, &settings);
        waiting.retain(|name| !in_force_already.contains(name) && *name != FIRST_KEY);
        if waiting.is_empty() {
            tracing::info!("the configuration was read again");
        } else {
            let settings = waiting.join(", ");
            tracing::warn!(settings, "the configuration was read again; some settings need a restart");
        }
    }
}

/// The settings that differ.
fn changed<'s>(before: &'s [Effective], after: &'s [Effective]) -> Vec<&'s str> {
    let differs = |one: &&Effective, others: &[Effective]| {
        others.iter().find(|other| other.name == one.name).is_none_or(|other| other.value != one.value)
    };
    let gone = before.iter().filter(|one| !after.iter().any(|other| other.name == one.name));
    let new = after.iter().filter(|one| differs(one, before));
    gone.chain(new).map(|one| one.name.as_str()).collect()
}
