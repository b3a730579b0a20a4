use std::sync::Arc;

use crate::RedisConfig;

/// Puts channels under a namespace.
pub(crate) struct Names {
    prefix: Box<str>,
}

impl Names {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let namespace = &config.namespace;
        // A cluster places a channel by what is in braces.
        let prefix =
            if config.sharded { format!("{{{namespace}}}:") } else { format!("{namespace}:") };
        Self { prefix: prefix.into() }
    }

    /// What Redis calls a channel.
    pub(crate) fn full(&self, channel: &str) -> Arc<str> {
        [&*self.prefix, channel].concat().into()
    }

    /// The channel that Redis calls so, if it is in the namespace.
    pub(crate) fn channel<'a>(&self, full: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(full).ok()?.strip_prefix(&*self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_known_within_its_namespace_alone() {
        for (sharded, full) in [(false, "shop:orders:7"), (true, "{shop}:orders:7")] {
            let config =
                RedisConfig { namespace: "shop".into(), sharded, ..RedisConfig::default() };
            let names = Names::new(&config);
            assert_eq!(&*names.full("orders:7"), full);
            assert_eq!(names.channel(full.as_bytes()), Some("orders:7"));
            for other in ["sho:orders:7", "shop2:orders:7", "orders:7", "", "{}shop:orders:7"] {
                assert_eq!(names.channel(other.as_bytes()), None, "{other}");
            }
            assert_eq!(names.channel(b"shop:\xff"), None);
        }
    }
}
