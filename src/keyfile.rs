//! Reads key files.
use crate::domain::keys::KeyRing;
use std::path::Path;
/// Provisional.
pub fn load_key_file(path: &Path) -> Result<KeyRing, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    KeyRing::parse(&text).map_err(|e| e.to_string())
}
