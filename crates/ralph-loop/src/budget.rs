//! N workers and M attempts, shared by any number of processes, exact under crashes.
