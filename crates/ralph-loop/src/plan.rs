//! The plan's file: claims, marks and what a crash left, under one lock.
