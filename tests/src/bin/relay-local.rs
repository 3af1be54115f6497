//! The other end of a relay whose "remote" machine is this one; for the relay's tests. The folder that stands for the remote
//! home is the opening's.

use std::io::{stdin, stdout};

use ralph_slurm::{Local, Opening, serve};

fn main() -> std::io::Result<()> {
    let open = |opening: Opening| Local::new(opening.home, "/usr/bin:/bin".to_owned());
    serve(stdin(), stdout(), open, hang_up)
}

#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "what the program that the relay is made for does"
)]
fn hang_up() {
    std::process::exit(0);
}
