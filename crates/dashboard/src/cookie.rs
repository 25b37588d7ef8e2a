//! The one cookie: the token of a session. Over TLS its name begins with `__Host-`, so that no other host and no
//! page without TLS can set it. Within the machine the port is part of the name, since cookies know no ports and
//! two servers would sign each other out.

use gatepost_people::OpaqueToken;

/// The cookie of a session, as this request has to call it.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: String,
    is_secure: bool,
}

impl SessionCookie {
    /// For a request for this host.
    pub fn of(host: &str, is_secure: bool) -> Self {
        let name = match is_secure {
            true => "__Host-gatepost".to_owned(),
            false => {
                let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
                let port = after.rsplit_once(':').map_or("80", |(_, port)| port);
                format!("gatepost_{port}")
            }
        };
        Self { name, is_secure }
    }

    /// The token in the values of `Cookie` headers. Of several with the name none is believed: one of them may
    /// be planted.
    pub fn read<'h>(&self, headers: impl Iterator<Item = &'h str>) -> Option<OpaqueToken> {
        let pairs =
            headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name).map(|(_, value)| value);
        let only = values.next().filter(|_| values.next().is_none())?;
        OpaqueToken::parse(only)
    }

    /// The `Set-Cookie` header that keeps a token until the browser is closed.
    pub fn keep(&self, token: &OpaqueToken) -> String {
        self.line(token.expose(), "")
    }

    /// The `Set-Cookie` header that forgets it.
    pub fn forget(&self) -> String {
        self.line("", "; Max-Age=0")
    }

    fn line(&self, value: &str, more: &str) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::random;

    use super::*;

    #[test]
    fn a_token_is_kept_and_read_back() {
        let token = OpaqueToken::generate(&mut random::rng());
        let cookie = SessionCookie::of("keys.example.com", true);
        let line = cookie.keep(&token);
        assert_eq!(
            line,
            format!("__Host-gatepost={}; Path=/; HttpOnly; SameSite=Lax; Secure", token.expose())
        );
        let sent = format!("other=1; __Host-gatepost={}", token.expose());
        assert_eq!(cookie.read([sent.as_str()].into_iter()).map(|t| t.digest()), Some(token.digest()));
        assert!(
            cookie.forget().starts_with("__Host-gatepost=; ") && cookie.forget().ends_with("; Max-Age=0")
        );
    }

    #[test]
    fn two_servers_of_a_machine_have_two_cookies() {
        let name = |host| SessionCookie::of(host, false).forget().split('=').next().map(str::to_owned);
        assert_eq!(name("127.0.0.1:8080").as_deref(), Some("gatepost_8080"));
        assert_eq!(name("[::1]:8081").as_deref(), Some("gatepost_8081"));
        assert_eq!(name("localhost").as_deref(), Some("gatepost_80"));
    }

    #[test]
    fn of_two_cookies_none_is_believed() {
        let token = OpaqueToken::generate(&mut random::rng());
        let cookie = SessionCookie::of("localhost:8080", false);
        let sent = format!("gatepost_8080={0}; gatepost_8080={0}", token.expose());
        assert!(cookie.read([sent.as_str()].into_iter()).is_none());
        assert!(cookie.read(["gatepost_8080=nonsense"].into_iter()).is_none());
    }
}
