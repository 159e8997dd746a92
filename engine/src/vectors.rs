pub fn vectors(_: u64, _: usize) -> Result<String, crate::Error> {
    Err(crate::Error::failed("not yet"))
}
