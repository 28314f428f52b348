//! A client's socket that notes what the client does: whether it asks, takes its answer, or waits.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::clients::Visit;

/// The socket `I`, watched. One that is dropped before all was said is cut off.
#[derive(Debug)]
pub(super) struct Watched<I> {
    io: I,
    visit: Arc<Visit>,
    /// Makes the end an abrupt one, so that nothing of a client that was cut off stays in the kernel.
    cut: fn(&I),
    /// Whether the client has ended its side.
    ended: bool,
    /// Whether all was said.
    finished: bool,
}

impl<I> Watched<I> {
    pub(super) fn new(io: I, visit: Arc<Visit>, cut: fn(&I)) -> Self {
        Self { io, visit, cut, ended: false, finished: false }
    }

    /// The socket below.
    pub(super) fn io(&self) -> &I {
        &self.io
    }

    /// Whether the client has ended its side.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// All was said: the end may be a gentle one.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl<I> Drop for Watched<I> {
    fn drop(&mut self) {
        if !self.finished {
            (self.cut)(&self.io);
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(context, buffer);
        match &outcome {
            Poll::Pending => self.visit.listens(),
            Poll::Ready(Ok(())) if buffer.filled().len() > before => self.visit.heard(),
            Poll::Ready(_) => self.ended = true,
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> Watched<I> {
    fn note(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Pending => self.visit.stalls(),
            Poll::Ready(_) => self.visit.took(),
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(context, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The HTTP layer flushes when it has handed over all it had.
        self.visit.flushed();
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
