//! The server's RSA key, looked at before the driver encrypts the password with it.

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::{KEPT_BYTES, Nonsense};

/// The server's key: a byte 1, then PEM.
pub(super) fn look_at(payload: &[u8]) -> Result<(), Nonsense> {
    let is_key = || {
        let pem = payload.strip_prefix(&[1])?;
        let inside = pem.trim_ascii().strip_prefix(b"-----BEGIN PUBLIC KEY-----")?;
        let inside = inside.strip_suffix(b"-----END PUBLIC KEY-----")?;
        let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        (payload.len() <= KEPT_BYTES && inside.iter().all(base64) && is_rsa_key(&der)).then_some(())
    };
    is_key().ok_or(Nonsense::NoKey)
}

/// Whether this is `SubjectPublicKeyInfo` with an RSA key of 1024 to 8192 bits and a small exponent.
fn is_rsa_key(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    const INTEGER: u8 = 0x02;
    let key = || {
        let (info, _) = element(der, SEQUENCE)?;
        let (_algorithm, rest) = element(info, SEQUENCE)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        let (numbers, _) = element(bits.strip_prefix(&[0])?, SEQUENCE)?;
        let (modulus, rest) = element(numbers, INTEGER)?;
        let (exponent, _) = element(rest, INTEGER)?;
        Some((modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent))
    };
    key().is_some_and(|(modulus, exponent)| {
        (128..=1024).contains(&modulus.len()) && modulus[0] >= 0x80 && (1..=5).contains(&exponent.len())
    })
}

/// One element of DER with this tag: its content, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *der {
        [found, length @ 0..=0x7f, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x81, length, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x82, high, low, ref rest @ ..] if found == tag => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `openssl genrsa 1024 | openssl rsa -pubout`.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDhwZY/MeHHU5PSCV2IWyeJwtKo
lL1L8vxRaQRYoRf48JLogU/xwqsq8Yjl8G3yJex5/1I2cXbvUKyQPx3hRBSu46tD
28PJTml2KiI2L8IhgzglNeHXTcz60T/fR7IrHelen5lc6wtTddtdiQVYGa/CnyX+
VKzGDJlfH3Lng+796wIDAQAB
-----END PUBLIC KEY-----
";

    #[test]
    fn only_rsa_keys_pass_for_keys() {
        let told = |pem: &str| look_at(&[&[1], pem.as_bytes()].concat());
        assert_eq!(told(KEY), Ok(()));
        let lines: Vec<&str> = KEY.lines().collect();
        let without_a_line = [lines[0], lines[1], lines[3], lines[4], lines[5]].join("\n");
        for pem in [
            "",
            "no key",
            "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----",
            &KEY.replace("PUBLIC", "RSA PUBLIC"),
            &KEY.replace("MIG", "M!G"),
            &format!("{KEY}{KEY}"),
            &without_a_line,
        ] {
            assert_eq!(told(pem), Err(Nonsense::NoKey), "{pem}");
        }
    }

    proptest! {
        #[test]
        fn no_key_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = is_rsa_key(&bytes);
        }
    }
}
