//! Work onto the base branch without touching the user's checkout.
