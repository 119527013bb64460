//! Rotation stays a HOT update.
