//! Logs of attempts: masked, bounded, rotated.
