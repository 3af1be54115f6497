//! The frame around every reply: what is ours is told from banners, shell start-up files and half replies.
//!
//! Every line that counts starts with `@ralph`, the id of the request and a word: `begin`, `part NAME`,
//! `done NAME CODE`, `end CODE`. Between `part` and `done` stands the output of one remote command, byte for byte.
//! Everything else is noise and is dropped. A reply without `end` is incomplete, and its finished parts still count.
//! Nothing here knows what a part means, but that the first one is the cluster's clock.

use ralph_core::time::Timestamp;

/// The output of one remote command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name, such as `queue`; with the suffix `.err` the messages of the command with that name.
    pub(crate) name: String,
    /// The bytes.
    pub(crate) body: Vec<u8>,
    /// The exit code of the command.
    pub(crate) code: i32,
}

impl Part {
    /// The bytes as text; what is not UTF-8 is replaced.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The cluster's time, where this is the part that says it.
    pub(crate) fn clock(&self) -> Option<Timestamp> {
        let seconds = (self.name == "clock").then(|| self.text().trim().parse().ok());
        Timestamp::from_second(seconds.flatten()?).ok()
    }
}

/// Reads a reply piece by piece.
#[derive(Debug)]
pub(crate) struct FrameReader {
    mark: Vec<u8>,
    buffer: Vec<u8>,
    begun: bool,
    open: Option<(String, Vec<u8>)>,
    ended: Option<i32>,
}

/// What a line of the frame says.
enum Mark {
    Begin,
    Part(String),
    Done(String, i32),
    End(i32),
}

impl FrameReader {
    /// A reader for the reply to the request with this id.
    #[must_use]
    pub(crate) fn new(id: &str) -> Self {
        Self {
            mark: format!("@ralph {id} ").into_bytes(),
            buffer: Vec::new(),
            begun: false,
            open: None,
            ended: None,
        }
    }

    /// Takes the next bytes and gives the parts that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut parts = Vec::new();
        let mut rest = buffer.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            parts.extend(self.line(line));
            rest = after;
        }
        self.buffer = rest.to_vec();
        parts
    }

    /// Whether our script began: its first line was seen.
    #[must_use]
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// The exit code of the whole script, once its last line was seen.
    #[must_use]
    pub(crate) fn ended(&self) -> Option<i32> {
        self.ended
    }

    fn line(&mut self, line: &[u8]) -> Option<Part> {
        let Some(at) = find(line, &self.mark) else {
            if let Some((_, body)) = &mut self.open {
                body.extend_from_slice(line);
            }
            return None;
        };
        let word = line.get(at + self.mark.len()..).unwrap_or_default();
        match read_mark(&String::from_utf8_lossy(word)) {
            Some(Mark::Begin) => self.begun = true,
            Some(Mark::Part(name)) => self.open = Some((name, Vec::new())),
            Some(Mark::Done(name, code)) => {
                return self.close(&name, code, line.get(..at).unwrap_or_default());
            }
            Some(Mark::End(code)) => self.ended = Some(code),
            None => {}
        }
        None
    }

    /// Ends the open part; a `done` for another part than the open one drops both.
    fn close(&mut self, name: &str, code: i32, before: &[u8]) -> Option<Part> {
        let (open, mut body) = self.open.take()?;
        if open != name {
            return None;
        }
        body.extend_from_slice(before);
        // The script puts a newline before `done`, whether or not the output ended with one.
        if body.last() == Some(&b'\n') {
            body.pop();
        }
        Some(Part {
            name: open,
            body,
            code,
        })
    }
}

fn read_mark(text: &str) -> Option<Mark> {
    let mut words = text.split_whitespace();
    match (words.next()?, words.next(), words.next()) {
        ("begin", None, None) => Some(Mark::Begin),
        ("part", Some(name), None) => Some(Mark::Part(name.to_owned())),
        ("done", Some(name), Some(code)) => Some(Mark::Done(name.to_owned(), code.parse().ok()?)),
        ("end", Some(code), None) => Some(Mark::End(code.parse().ok()?)),
        _ => None,
    }
}

fn find(line: &[u8], needle: &[u8]) -> Option<usize> {
    line.windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPLY: &str = "Welcome to login01\nLmod: loaded@ralph r1 begin\n\n@ralph r1 part queue\n1|RUNNING\n2|PENDING\n\n\
                         @ralph r1 done queue 0\n@ralph r1 part log\nno newline at the end\n@ralph r1 done log 3\n\n@ralph r1 end 0\nbye";

    fn read(pieces: &[&[u8]]) -> (Vec<(String, String, i32)>, Option<i32>) {
        let mut reader = FrameReader::new("r1");
        let mut parts = Vec::new();
        for piece in pieces {
            parts.extend(
                reader
                    .feed(piece)
                    .into_iter()
                    .map(|part| (part.name.clone(), part.text(), part.code)),
            );
        }
        (parts, reader.ended())
    }

    #[test]
    fn noise_is_dropped_and_bodies_are_exact() {
        let (parts, ended) = read(&[REPLY.as_bytes()]);
        insta::assert_debug_snapshot!((parts, ended), @r#"
        (
            [
                (
                    "queue",
                    "1|RUNNING\n2|PENDING\n",
                    0,
                ),
                (
                    "log",
                    "no newline at the end",
                    3,
                ),
            ],
            Some(
                0,
            ),
        )
        "#);
    }

    #[test]
    fn a_half_reply_keeps_its_finished_parts_and_has_no_end() {
        let cut = REPLY.find("no newline").unwrap_or(0);
        let (parts, ended) = read(&[&REPLY.as_bytes()[..cut]]);
        assert_eq!((parts.len(), ended), (1, None));
    }

    #[test]
    fn the_frame_of_another_request_is_noise() {
        let mut reader = FrameReader::new("r2");
        assert!(reader.feed(REPLY.as_bytes()).is_empty());
        assert!(!reader.begun());
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_does_not_matter(cuts in prop::collection::vec(0..REPLY.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&REPLY.as_bytes()[from..cut]);
                from = cut;
            }
            pieces.push(&REPLY.as_bytes()[from..]);
            prop_assert_eq!(read(&pieces), read(&[REPLY.as_bytes()]));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut reader = FrameReader::new("r1");
            reader.feed(&noise);
            reader.feed(b"\n@ralph r1 begin\n@ralph r1 part x\n");
            reader.feed(&noise);
            let parts = reader.feed(b"\n@ralph r1 done x 0\n");
            prop_assert!(parts.iter().any(|part| part.body == noise));
        }
    }
}
