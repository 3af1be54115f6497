//! What an agent is told: directives, its task, the user's prompt.
