//! What is declared of the way and of the applications: devices and pools.

use super::Names;
use super::keys;
use super::nearest::nearest;
use super::section::{Entry, Fault, Located, Section};
use crate::domain::culprit::Layer;
use crate::domain::layers::Device;
use crate::domain::layers::catalogue::{Entry as Product, Timer, entries};
use crate::domain::layers::pool::Pool;

/// The devices of a list.
pub(super) fn devices(list: &Entry<'_>) -> Result<Vec<Device>, Fault> {
    let mut names = Names::of("devices");
    let example = "- {name: fw, layer: network, idle_timeout: 1h}";
    let listed = list.list(&format!("{example} for each device"))?;
    listed
        .iter()
        .map(|entry| {
            let section = entry.section(&keys::DEVICE)?;
            let name = names.take(&section, "fw")?;
            device(&section, &name)
        })
        .collect()
}

fn device(section: &Section<'_>, name: &str) -> Result<Device, Fault> {
    let (product, idle_timeout, layer) =
        (section.get("product"), section.get("idle_timeout"), section.get("layer"));
    let Some(product) = product else {
        let timeout = "idle_timeout: 350s, or product: and a name of the catalogue";
        let idle_timeout = section.need("idle_timeout", timeout)?;
        let layer = section.need("layer", "layer: network, or layer: proxy")?;
        let pairs = [
            ("name", name),
            ("layer", layer.text("network or proxy")?),
            ("idle_timeout", idle_timeout.text("a duration, such as 350s")?),
        ];
        one_by_one(section, &pairs, |pairs| Device::from_pairs(pairs).map_err(|error| error.to_string()))?;
        return Device::from_pairs(pairs).map_err(|error| section.fault(error.to_string()));
    };
    if let Some(idle_timeout) = idle_timeout {
        return Err(idle_timeout
            .fault("idle_timeout beside product, whose default would be declared: keep one of them"));
    }
    let known = product.parse("a name of the catalogue, such as AWS NLB (TCP listener)", find_product)?.value;
    let layer_of = |word: &str| match word {
        "network" => Ok(Layer::Network),
        "proxy" => Ok(Layer::Proxy),
        _ => Err("write network or proxy, or leave it out: the catalogue knows it".to_owned()),
    };
    if let Some(layer) = layer {
        let given = layer.parse("network or proxy", layer_of)?;
        if given.value != known.layer {
            return Err(given.fault(format!(
                "the catalogue has this product in the layer {}: leave the layer out",
                known.layer.label()
            )));
        }
    }
    Ok(Device { name: name.to_owned(), layer: known.layer, idle_timeout: known.default })
}

/// Checks each pair beside the name alone, so that what is wrong is told at its place.
fn one_by_one<'a>(
    section: &Section<'_>,
    pairs: &[(&'a str, &'a str)],
    check: impl Fn(Vec<(&'a str, &'a str)>) -> Result<Device, String>,
) -> Result<(), Fault> {
    let good = [("name", "x"), ("layer", "network"), ("idle_timeout", "1s")];
    for &(key, value) in pairs {
        let mut trial: Vec<(&str, &str)> = good.into_iter().filter(|(other, _)| *other != key).collect();
        trial.push((key, value));
        if let Err(what) = check(trial) {
            return Err(section
                .get(key)
                .map_or_else(|| section.fault(what.clone()), |entry| entry.fault(what.clone())));
        }
    }
    Ok(())
}

/// A product of the catalogue that a device can be, by its name in whatever case.
fn find_product(name: &str) -> Result<&'static Product, String> {
    let may_be = |entry: &&Product| entry.layer != Layer::Server && entry.may_kill(Timer::Idle);
    let products: Vec<(String, &Product)> =
        entries().iter().filter(may_be).map(|entry| (entry.name(), entry)).collect();
    if let Some((_, found)) = products.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim())) {
        return Ok(found);
    }
    let near = nearest(name, products.iter().map(|(known, _)| known.as_str()));
    Err(match near.as_slice() {
        [] => "no product of the catalogue: write its idle_timeout and its layer instead".to_owned(),
        near => format!(
            "no product of the catalogue is called so: is {} meant? Else write its idle_timeout and its layer instead",
            near.join(" or ")
        ),
    })
}

/// The pools of a list.
pub(super) fn pools(list: &Entry<'_>) -> Result<Vec<Located<Pool>>, Fault> {
    let mut names = Names::of("pools");
    let example = "- {name: api, user: api, framework: sqlalchemy, recycle: 30m}";
    let listed = list.list(&format!("{example} for each pool"))?;
    listed
        .iter()
        .map(|entry| {
            let section = entry.section(&keys::POOL)?;
            let name = names.take(&section, "api")?;
            let mut pairs = Vec::new();
            for (key, value) in section.each() {
                let text = value.text("one value")?;
                if key != "name" {
                    Pool::from_pairs([("name", name.as_str()), (key, text)])
                        .map_err(|error| value.fault(error.to_string().replace("=never", ": never")))?;
                }
                pairs.push((key, text));
            }
            if let (Some(_), Some(lifetime)) = (section.get("recycle"), section.get("max_lifetime")) {
                return Err(lifetime.fault("recycle and max_lifetime are one setting: keep one of them"));
            }
            let pool = Pool::from_pairs(pairs).map_err(|error| section.fault(error.to_string()))?;
            Ok(entry.locate(pool))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_product_of_a_device_can_be_named_and_no_two_alike() {
        let may_be = |entry: &&Product| entry.layer != Layer::Server && entry.may_kill(Timer::Idle);
        let products: Vec<&Product> = entries().iter().filter(may_be).collect();
        let names: BTreeSet<String> =
            products.iter().map(|entry| entry.name().to_ascii_lowercase()).collect();
        assert_eq!(names.len(), products.len());
        assert!(products.len() > 50, "{}", products.len());
        for product in products {
            assert_eq!(find_product(&product.name().to_ascii_uppercase()), Ok(product));
        }
    }
}
