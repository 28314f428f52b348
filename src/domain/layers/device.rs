//! Declared devices: what the operator knows of firewalls, balancers and proxies on a path.

use serde::Serialize;

use crate::domain::culprit::Layer;
use crate::domain::layers::pool::{NameError, PairError, check_name, split_pairs};
use crate::domain::life::duration::{self, DurationError};

/// A device on a path whose idle timeout is known from its configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// Its configured name.
    pub name: String,
    /// Where it sits: network or proxy.
    pub layer: Layer,
    /// Its idle timeout, in seconds; above zero.
    pub idle_timeout: f64,
}

/// Why a text declares no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The text is no list of keys and values.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// A key that devices do not have.
    #[error("unknown key {key:?}: the keys are name, layer and idle_timeout")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key that every device needs is not there.
    #[error("no {key}: write for example name=fw,layer=network,idle_timeout=3600s")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The name cannot be a label.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The layer is not one that a device sits in.
    #[error("layer {value:?} is not known: write network or proxy")]
    Layer {
        /// What was written.
        value: String,
    },
    /// The timeout is no duration.
    #[error("idle_timeout is {source}")]
    Duration {
        /// What is wrong with it.
        source: DurationError,
    },
    /// The timeout is zero.
    #[error("idle_timeout is zero: leave out a device that never times out")]
    Zero,
}

impl Device {
    /// Parses `name=fw,layer=network,idle_timeout=3600s`.
    ///
    /// # Errors
    /// The first thing that is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, DeviceError> {
        Self::from_pairs(split_pairs(text)?)
    }

    /// Reads the same keys from a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, DeviceError> {
        let mut name = None;
        let mut layer = None;
        let mut idle_timeout = None;
        for (key, value) in pairs {
            let twice = match key {
                "name" => name.replace(check_name(value)?).is_some(),
                "layer" => layer
                    .replace(match value {
                        "network" => Layer::Network,
                        "proxy" => Layer::Proxy,
                        other => return Err(DeviceError::Layer { value: other.to_owned() }),
                    })
                    .is_some(),
                "idle_timeout" => {
                    let seconds =
                        duration::parse_seconds(value).map_err(|source| DeviceError::Duration { source })?;
                    if seconds <= 0.0 {
                        return Err(DeviceError::Zero);
                    }
                    idle_timeout.replace(seconds).is_some()
                }
                other => return Err(DeviceError::UnknownKey { key: other.to_owned() }),
            };
            if twice {
                return Err(PairError::Duplicate { key: key.to_owned() }.into());
            }
        }
        let missing = |key| DeviceError::Missing { key };
        Ok(Self {
            name: name.ok_or(missing("name"))?,
            layer: layer.ok_or(missing("layer"))?,
            idle_timeout: idle_timeout.ok_or(missing("idle_timeout"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_device() {
        let device = Device::parse("name=fw, layer=network, idle_timeout=1h").expect("good");
        assert_eq!(device, Device { name: "fw".to_owned(), layer: Layer::Network, idle_timeout: 3600.0 });
    }

    #[test]
    fn bad_devices_say_what_is_wrong() {
        for (text, message) in [
            ("", "nothing declared: write key=value, separated by commas"),
            (
                "layer=network,idle_timeout=1h",
                "no name: write for example name=fw,layer=network,idle_timeout=3600s",
            ),
            (
                "name=fw,idle_timeout=1h",
                "no layer: write for example name=fw,layer=network,idle_timeout=3600s",
            ),
            (
                "name=fw,layer=network",
                "no idle_timeout: write for example name=fw,layer=network,idle_timeout=3600s",
            ),
            ("name=fw,layer=server,idle_timeout=1h", "layer \"server\" is not known: write network or proxy"),
            ("name=fw,speed=1", "unknown key \"speed\": the keys are name, layer and idle_timeout"),
            ("name=fw,name=fw", "name is given twice: write it once"),
            (
                "name=fw,layer=network,idle_timeout=0s",
                "idle_timeout is zero: leave out a device that never times out",
            ),
            (
                "name=fw,layer=network,idle_timeout=1",
                "idle_timeout is \"1\", not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m",
            ),
        ] {
            assert_eq!(Device::parse(text).expect_err(text).to_string(), message);
        }
    }
}
