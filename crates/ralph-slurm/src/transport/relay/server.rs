//! The side that holds the connection: takes requests, one after the other, until nobody asks any more.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvError};
use std::thread;
use std::time::Duration;

use super::super::{ExecRequest, Exit, Transport, TransportError};
use super::wire::{self, Frame, Opening, Reply, Request};

/// Serves the process at the other end of `input` and `output`, over the transport that `open` makes of its first request.
/// Asks the transport from a runtime of its own, so that connections which are not used now are kept alive. `hang_up` is
/// called, from another thread, as soon as the other side is gone: a command that still runs would answer nobody.
///
/// # Errors
/// The streams, or what comes over them in place of a request; the end of `input` is none.
pub fn serve<T: Transport>(
    input: impl Read + Send + 'static,
    output: impl Write + Send,
    open: impl FnOnce(Opening) -> T,
    hang_up: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut line = Line {
        input: listen(input, hang_up)?,
        output,
    };
    let Some(first) = line.next()? else {
        return Ok(());
    };
    let Request::Open(opening) = first.read()? else {
        return Err(io::Error::other(
            "expected an opening, found another request",
        ));
    };
    line.say(&Reply::Ready {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })?;
    let transport = open(*opening);
    while let Some(frame) = line.next()? {
        match frame.read()? {
            Request::Check => {
                let checked = runtime.block_on(transport.check());
                line.say(&Reply::Checked(checked))?;
            }
            Request::Exec {
                command,
                milliseconds,
            } => {
                let input = line.input()?;
                let request = ExecRequest {
                    command: &command,
                    input: &input,
                    limit: Duration::from_millis(milliseconds),
                };
                let ended = runtime.block_on(run(&mut line, &transport, &request))?;
                line.say(&Reply::Ended(ended))?;
            }
            Request::Open(_) | Request::More | Request::Enough => {
                return Err(io::Error::other(
                    "expected a request, found a word without one",
                ));
            }
        }
    }
    Ok(())
}

/// Runs one command. A line that broke while output was handed over breaks the command off, too.
async fn run(
    line: &mut Line<impl Write + Send>,
    transport: &impl Transport,
    request: &ExecRequest<'_>,
) -> io::Result<Result<Exit, TransportError>> {
    let mut broken = None;
    let mut hand_over = |piece: &[u8]| match line.hand_over(piece) {
        Ok(flow) => flow,
        Err(error) => {
            broken = Some(error);
            ControlFlow::Break(())
        }
    };
    let ended = transport.exec(request, &mut hand_over).await;
    broken.map_or(Ok(ended), Err)
}

/// Reads frames in a thread of its own, which also sees that the other side is gone while a command runs.
fn listen(
    mut input: impl Read + Send + 'static,
    hang_up: impl FnOnce() + Send + 'static,
) -> io::Result<Receiver<io::Result<Frame>>> {
    let (sender, frames) = mpsc::sync_channel(1);
    thread::Builder::new().spawn(move || {
        loop {
            let frame = receive(&mut input);
            let is_last = !matches!(frame, Ok(Some(_)));
            if let Some(frame) = frame.transpose() {
                // Where nobody listens any more, the end of the stream is still waited for.
                let _ = sender.send(frame);
            }
            if is_last {
                break;
            }
        }
        hang_up();
    })?;
    Ok(frames)
}

/// The next frame; `None` at the end of the stream.
fn receive(input: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut header = [0; wire::HEADER];
    let (first, rest) = header.split_at_mut(1);
    loop {
        match input.read(first) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    input.read_exact(rest)?;
    let (is_message, length) = wire::announced(header)?;
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some(wire::framed(is_message, body)))
}

/// The line to the other side.
struct Line<W> {
    input: Receiver<io::Result<Frame>>,
    output: W,
}

impl<W: Write> Line<W> {
    fn next(&self) -> io::Result<Option<Frame>> {
        match self.input.recv() {
            Ok(frame) => frame.map(Some),
            Err(RecvError) => Ok(None),
        }
    }

    /// The input of a command, up to the empty frame.
    fn input(&self) -> io::Result<Vec<u8>> {
        let mut input = Vec::new();
        loop {
            match self.next()? {
                Some(Frame::Bytes(piece)) if piece.is_empty() => return Ok(input),
                Some(Frame::Bytes(piece)) => input.extend(piece),
                Some(Frame::Message(_)) | None => {
                    return Err(io::Error::other("the input of a command broke off"));
                }
            }
        }
    }

    fn say(&mut self, reply: &Reply) -> io::Result<()> {
        self.output.write_all(&wire::message(reply)?)?;
        self.output.flush()
    }

    /// Hands a piece of output over and waits for the word.
    fn hand_over(&mut self, piece: &[u8]) -> io::Result<ControlFlow<()>> {
        self.output.write_all(&wire::bytes(piece)?)?;
        self.output.flush()?;
        let Some(word) = self.next()? else {
            return Err(io::Error::other("the reader is gone"));
        };
        match word.read()? {
            Request::More => Ok(ControlFlow::Continue(())),
            Request::Enough => Ok(ControlFlow::Break(())),
            _ => Err(io::Error::other("expected a word, found a request")),
        }
    }
}
