//! Secrets of known forms, masked before a byte reaches a disk.
