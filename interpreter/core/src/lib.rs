//! The engine as a library: it reads runbooks, plans, runs, journals, resumes and takes back.
//! It never prints and never reads the environment; the command line does both.

pub mod backup;
pub mod journal;
pub mod model;
pub mod run;
