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
pub mod debates;
pub mod debugging;
mod ids;
mod keyed;
mod key;
mod machine;
mod section;
pub mod outline;
pub mod queue;
pub mod quote;
pub mod projects;
pub mod style;
pub mod summary;
pub mod table;
pub mod todo;
mod verify;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod test_support;
pub use edit::{Edit, EditSet};
pub use error::{DocError, DocErrorCode};
