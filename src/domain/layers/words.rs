//! What declared pools and devices do with a connection that rests, in a sentence each.

use super::pool::{Framework, Pool, Recycle};
use super::{Device, in_words};

impl Pool {
    /// What it does with a connection, as it is declared.
    pub fn words(&self) -> String {
        let mut does = Vec::new();
        does.push(match self.recycle {
            Recycle::After(seconds) if self.framework == Framework::Sqlalchemy => {
                format!("replaces a connection older than {} when it is lent next", in_words(seconds))
            }
            Recycle::After(seconds) => format!("replaces a connection at an age of {}", in_words(seconds)),
            Recycle::Never => "never replaces a connection for its age".to_owned(),
            Recycle::Unknown => "does not say at which age it replaces a connection".to_owned(),
        });
        does.extend(self.idle_timeout.map(|s| format!("closes one that rests for {}", in_words(s))));
        does.extend(self.keepalive.map(|s| format!("pings one that rests every {}", in_words(s))));
        does.extend(self.pre_ping.then(|| "tries each before it is lent".to_owned()));
        does.push(match self.read_timeout {
            Some(seconds) => format!("waits {} for an answer", in_words(seconds)),
            None => "waits for an answer without end".to_owned(),
        });
        does.join(", ")
    }
}

impl Device {
    /// What it does with a connection, as it is declared.
    pub fn words(&self) -> String {
        format!("ends a connection that was idle for {}", in_words(self.idle_timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_and_devices_say_what_they_do() {
        for (text, words) in [
            (
                "name=api,framework=sqlalchemy,recycle=30m,pre_ping=true",
                "replaces a connection older than 1800 s when it is lent next, tries each before it is lent, \
                 waits for an answer without end",
            ),
            (
                "name=api,framework=hikaricp,max_lifetime=30m,keepalive=2m,idle_timeout=10m,read_timeout=30s",
                "replaces a connection at an age of 1800 s, closes one that rests for 600 s, pings one that rests \
                 every 120 s, waits 30 s for an answer",
            ),
            (
                "name=api,framework=go",
                "never replaces a connection for its age, waits for an answer without end",
            ),
            (
                "name=api",
                "does not say at which age it replaces a connection, waits for an answer without end",
            ),
        ] {
            assert_eq!(Pool::parse(text).expect("a pool").words(), words);
        }
        let device = Device::parse("name=fw,layer=network,idle_timeout=1h").expect("a device");
        assert_eq!(device.words(), "ends a connection that was idle for 3600 s (1h)");
    }
}
