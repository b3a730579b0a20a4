//! Messages between the sessions of a server, and of a cluster.

pub(crate) mod bus;
