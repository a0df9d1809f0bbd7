//! A TCP connection from the far side (direct-tcpip, RFC 4254 section 7.2).
//!
//! The SSH library delivers for all channels of a connection from one loop, so a channel that nobody reads stops
//! the others. A task of its own therefore takes this channel's data at once; a reader that falls too far behind
//! loses its stream.

use super::connect::Connection;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use russh::{Channel, ChannelMsg, client::Msg};

/// How many bytes may wait for the reader.
const LAG: usize = 64 << 20;

/// The near end of the stream.
pub(crate) struct Forward {
    incoming: mpsc::UnboundedReceiver<Vec<u8>>,
    current: VecDeque<u8>,
    waiting: Arc<AtomicUsize>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Forward {
    /// Has the far side of the connection connect to a host and port.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn open(connection: Arc<Connection>, host: &str, port: u16) -> Result<Self, String> {
        let opening = connection.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
        let channel = match opening.await {
            Ok(channel) => channel,
            Err(russh::Error::ChannelOpenFailure(why)) => return Err(format!("{why:?}")),
            Err(_) => return Err(connection.reason()),
        };
        let writer = Box::pin(channel.make_writer());
        let (sender, incoming) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(take(channel, sender, waiting.clone(), connection));
        Ok(Self { incoming, current: VecDeque::new(), waiting, writer })
    }
}

/// Takes data until either end is gone. The connection lives as long as the stream.
async fn take(
    mut channel: Channel<Msg>,
    sender: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    _connection: Arc<Connection>,
) {
    loop {
        let message = tokio::select! {
            message = channel.wait() => message,
            () = sender.closed() => break,
        };
        match message {
            Some(ChannelMsg::Data { data }) => {
                let behind = waiting.fetch_add(data.len(), Ordering::AcqRel);
                if behind > LAG || sender.send(data.to_vec()).is_err() {
                    break;
                }
            }
            None | Some(ChannelMsg::Eof | ChannelMsg::Close) => break,
            Some(_) => {}
        }
    }
    let _ = channel.close().await;
}

impl AsyncRead for Forward {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.current.is_empty() {
            match ready!(self.incoming.poll_recv(cx)) {
                Some(bytes) => self.current = bytes.into(),
                None => return Poll::Ready(Ok(())),
            }
        }
        let (front, _) = self.current.as_slices();
        let count = front.len().min(buf.remaining());
        buf.put_slice(front.get(..count).unwrap_or_default());
        self.current.drain(..count);
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Forward {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_shutdown(cx)
    }
}
