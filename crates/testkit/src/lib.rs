//! Generators and contract suites, for tests only
