//! The scenarios, one test each, on every transport. The names start with the scenario's id.

mod a_opening;
mod b_shapes;
mod c_ends;
mod e_status;
mod k_load;
mod methods;
