//! The gauntlet: an agent's command against everything that can go wrong.
