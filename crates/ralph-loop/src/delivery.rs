//! The pushed branch and its pull request, a state of its own that is retried without the agent.
