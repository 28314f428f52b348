//! The TCP settings of the kernel that the exporter runs on, from `/proc/sys/net/ipv4`.

use std::fs;

use crate::domain::layers::Kernel;

/// Reads the settings. `None` where the kernel has none to read.
pub fn read() -> Option<Kernel> {
    let number = |name: &str| -> Option<u32> {
        fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?.trim().parse().ok()
    };
    Some(Kernel {
        keepalive_time: f64::from(number("tcp_keepalive_time")?),
        keepalive_intvl: f64::from(number("tcp_keepalive_intvl")?),
        keepalive_probes: number("tcp_keepalive_probes")?,
        retries2: number("tcp_retries2")?,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn linux_has_them() {
        let kernel = super::read().expect("Linux has these settings");
        assert!(kernel.keepalive_time > 0.0 && kernel.retries2 > 0);
    }
}
