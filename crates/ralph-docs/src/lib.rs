//! x
mod ansi;
mod blocks;
mod cursor;
mod document;
mod edit;
mod error;
mod html;
mod leaf;
pub mod items;
mod key;
mod machine;
mod section;
pub mod outline;
pub mod quote;
pub mod style;
mod verify;
#[cfg(test)]
mod test_support;
pub use edit::{Edit, EditSet};
pub use error::{DocError, DocErrorCode};
