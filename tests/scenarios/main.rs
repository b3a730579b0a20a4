//! The scenarios, one test each, on every transport. The names start with the scenario's id.

#![allow(unreachable_pub, reason = "the modules share methods, and nobody else sees them")]

mod a_opening;
mod b_shapes;
mod c_ends;
mod contract;
mod d_errors;
mod e_socket;
mod e_status;
mod f_sessions;
mod g_authentication;
mod h_messages;
mod i_redis;
mod ids;
mod j_streaming_endpoints;
mod k_load;
mod methods;
mod metrics;
mod robust;
