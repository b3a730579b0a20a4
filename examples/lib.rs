//! Nothing: the programs beside it are the package.
