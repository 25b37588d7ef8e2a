//! Messages of a program, one on each line of its standard output, and ours on its standard input.

use std::{collections::HashMap, io, sync::Arc};

use rmcp::{
    RoleClient,
    model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::Mutex,
};

use crate::message::{self, Asked};

/// Lines of JSON in both directions.
pub(crate) struct Lines<R, W> {
    read: BufReader<R>,
    /// What has come so far of a line. It outlives the reading, which ends wherever there is something else
    /// to do.
    line: Vec<u8>,
    max_bytes: usize,
    /// The line is longer than that; the rest of it is dropped.
    too_long: bool,
    write: Arc<Mutex<Option<W>>>,
    /// The requests whose results are read in another way than most.
    asked: HashMap<RequestId, Asked>,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin> Lines<R, W> {
    /// A line of more than `max_bytes` is dropped; if it begins with the `id` of a request, that one is told.
    pub fn new(read: R, write: W, max_bytes: usize) -> Self {
        Self {
            read: BufReader::new(read),
            line: Vec::new(),
            max_bytes,
            too_long: false,
            write: Arc::new(Mutex::new(Some(write))),
            asked: HashMap::new(),
        }
    }

    /// The message of a whole line.
    fn take_line(&mut self) -> Option<ServerJsonRpcMessage> {
        let too_long = std::mem::take(&mut self.too_long);
        let line = std::mem::take(&mut self.line);
        if too_long {
            let id = message::id_of(&String::from_utf8_lossy(&line))?;
            return Some(message::unreadable(id, &format!("it has more than {} bytes", self.max_bytes)));
        }
        let asked = |id: &RequestId| self.asked.get(id).copied().unwrap_or(Asked::Other);
        match message::read(line.trim_ascii(), asked) {
            Ok(message) => {
                if let JsonRpcMessage::Response(response) = &message {
                    self.asked.remove(&response.id);
                }
                Some(message)
            }
            Err(why) => {
                tracing::debug!(error = why, "an MCP server wrote a line that is no message");
                None
            }
        }
    }
}

impl<R, W> Transport<RoleClient> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        if let JsonRpcMessage::Request(request) = &message {
            match Asked::by(&request.request) {
                Asked::Other => {}
                asked => drop(self.asked.insert(request.id.clone(), asked)),
            }
        }
        let (write, line) = (self.write.clone(), message::write(&message));
        async move {
            let mut line = line?;
            line.push(b'\n');
            let mut write = write.lock().await;
            let write = write.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            write.write_all(&line).await?;
            write.flush().await
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            // Nothing is lost if this ends while it waits.
            let ended = match self.read.fill_buf().await {
                Ok([]) | Err(_) => return None,
                Ok(bytes) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let part = &bytes[..end.unwrap_or(bytes.len())];
                    let kept = part.len().min(self.max_bytes - self.line.len());
                    self.line.extend_from_slice(&part[..kept]);
                    self.too_long |= kept < part.len();
                    let used = part.len() + usize::from(end.is_some());
                    self.read.consume(used);
                    end.is_some()
                }
            };
            if ended && let Some(message) = self.take_line() {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.write.lock().await.take();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Reply;

    async fn replies(lines: &[u8], max_bytes: usize) -> Vec<Result<String, String>> {
        let mut transport = Lines::new(lines, tokio::io::sink(), max_bytes);
        let mut replies = Vec::new();
        while let Some(message) = transport.receive().await {
            let JsonRpcMessage::Response(response) = message else { panic!("{message:?}") };
            replies.push(match Reply::of(response.result) {
                Reply::Result { text, .. } => Ok(text.get().to_owned()),
                Reply::Unreadable(why) => Err(why),
            });
        }
        replies
    }

    #[tokio::test]
    async fn lines_that_are_no_messages_are_passed_over() {
        let lines =
            b"nonsense\n\n{\"id\":1,\"result\":{\"a\":1}}\r\n{\"id\":2,\"result\":NaN}\n{\"id\":3,\"res";
        let replies = replies(lines, 1_000).await;
        assert_eq!((replies.len(), &replies[0]), (2, &Ok("{\"a\":1}".to_owned())));
        assert!(replies[1].is_err());
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_ends_its_own_call() {
        let long = "x".repeat(10_000);
        let lines = format!("{long}\n{{\"id\":1,\"result\":\"{long}\"}}\n{{\"id\":2,\"result\":{{}}}}\n");
        let replies = replies(lines.as_bytes(), 100).await;
        assert_eq!(replies, [Err("it has more than 100 bytes".to_owned()), Ok("{}".to_owned())]);
    }
}
