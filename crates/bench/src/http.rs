//! Single requests to the API, over a connection that is kept.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
};

use crate::{Failure, load};

/// A caller with a key.
pub struct Client {
    address: String,
    key: String,
    stream: Mutex<Option<TcpStream>>,
}

impl Client {
    /// A caller of the server there.
    pub fn new(address: &str, key: &str) -> Self {
        Self { address: address.to_owned(), key: key.to_owned(), stream: Mutex::new(None) }
    }

    /// Sends a request and reads the JSON of a 2xx answer.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut stream = self.stream.lock().await;
        let mut connection = match stream.take() {
            Some(connection) => connection,
            None => {
                let connection = TcpStream::connect(&self.address).await?;
                connection.set_nodelay(true)?;
                connection
            }
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: gatepost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            if let Some((status, length)) = load::parse(&answer)
                && answer.len() >= length
            {
                *stream = Some(connection);
                let head = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no head")? + 4;
                if !(200..300).contains(&status) {
                    return Err(format!("{method} {path}: {}", String::from_utf8_lossy(&answer)).into());
                }
                return Ok(serde_json::from_slice(&answer[head..length])?);
            }
            if connection.read_buf(&mut answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }
}
