//! When a loop stops by itself: the same error, no progress, cost, calls per hour. Pure.
