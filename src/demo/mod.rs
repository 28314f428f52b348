//! stub
/// stub
pub fn run() -> Result<(), std::io::Error> {
    Ok(())
}
