//! One git worktree and branch per attempt; what a crash left of them.
