//! The guard of this crate's own tests: what the hidden verb of the binaries runs. No example of anything else.

fn main() -> std::io::Result<()> {
    ralph_core::process::guard::main()
}
