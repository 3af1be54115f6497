//! Runs one agent under its guard: streams, limits of time and silence, its end.
