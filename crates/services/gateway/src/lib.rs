//! The HTTP gateway
