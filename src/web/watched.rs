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
    /// There until it is taken out.
    io: Option<I>,
    visit: Arc<Visit>,
    /// Makes the end an abrupt one, so that nothing of a client that was cut off stays in the kernel.
    cut: fn(&I),
    /// Whether the client has ended its side.
    ended: bool,
    /// Whether all was said.
    finished: bool,
    /// Whether what was handed over is on its way out, under a socket that keeps some of it, as TLS does.
    flushing: bool,
}

impl<I> Watched<I> {
    pub(super) fn new(io: I, visit: Arc<Visit>, cut: fn(&I)) -> Self {
        Self { io: Some(io), visit, cut, ended: false, finished: false, flushing: false }
    }

    /// The socket below.
    pub(super) fn io(&self) -> &I {
        self.io.as_ref().expect("it is there until it is taken out")
    }

    fn io_mut(&mut self) -> &mut I {
        self.io.as_mut().expect("it is there until it is taken out")
    }

    /// The socket below, no longer watched.
    pub(super) fn into_inner(mut self) -> I {
        self.io.take().expect("it is there until it is taken out")
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
        if let Some(io) = self.io.as_ref().filter(|_| !self.finished) {
            (self.cut)(io);
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
        let outcome = Pin::new(self.io_mut()).poll_read(context, buffer);
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
        let outcome = Pin::new(self.io_mut()).poll_write(context, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(self.io_mut()).poll_write_vectored(context, slices);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The HTTP layer flushes when it has handed over all it had.
        let outcome = Pin::new(self.io_mut()).poll_flush(context);
        if outcome.is_pending() {
            self.flushing = true;
            self.visit.stalls();
            return outcome;
        }
        if std::mem::take(&mut self.flushing) {
            self.visit.took();
        }
        self.visit.flushed();
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io_mut()).poll_shutdown(context)
    }
}
