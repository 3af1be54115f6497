//! Every knob of the loop with its origin. Pure.
