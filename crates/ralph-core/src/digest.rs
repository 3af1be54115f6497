//! SHA-256 as the text that records and file names hold. Nothing else.

use sha2::{Digest as _, Sha256};

/// The digest of these bytes: 64 hexadecimal digits in lower case.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes).into_iter();
    digits
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two examples of FIPS 180-4's own test vectors.
    #[test]
    fn digests_are_written_in_lower_case_with_all_their_zeros() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            (sha256(b"").as_str(), sha256(b"abc").as_str()),
            (empty, abc)
        );
    }
}
