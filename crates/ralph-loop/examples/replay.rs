//! Stands in for an agent whose stream is documented: `replay FILE SEED EXIT …` prints the file in pieces of random
//! length, flushed one by one, and exits. Everything behind is ignored, as an agent would understand it.
#![expect(
    clippy::disallowed_methods,
    reason = "the exit code and the pieces are what is tested"
)]

use std::io::{Read as _, Write as _};

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_default();
    let mut state: u64 = args.next().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let code: i32 = args.next().and_then(|code| code.parse().ok()).unwrap_or(0);
    // An agent that does not read its prompt would be no agent.
    let mut prompt = String::new();
    let read = std::io::stdin().read_to_string(&mut prompt);
    if read.is_err() || prompt.is_empty() {
        std::process::exit(99);
    }
    let bytes = std::fs::read(path).unwrap_or_default();
    let mut rest = &bytes[..];
    let mut out = std::io::stdout();
    while !rest.is_empty() {
        // A linear congruential generator (Knuth, MMIX).
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let length = usize::try_from(state >> 56)
            .unwrap_or(1)
            .clamp(1, rest.len());
        let (piece, behind) = rest.split_at(length);
        if out.write_all(piece).and_then(|()| out.flush()).is_err() {
            return;
        }
        rest = behind;
    }
    std::process::exit(code);
}
