//! Where two graphs in JSON part.

use serde_json::Value;

/// The first difference in words; `None` for equal graphs.
pub(super) fn difference(recorded: &str, own: &str) -> Option<String> {
    let (recorded, own): (Value, Value) = match (serde_json::from_str(recorded), serde_json::from_str(own)) {
        (Ok(recorded), Ok(own)) => (recorded, own),
        _ => return Some("it cannot be read".to_owned()),
    };
    if recorded == own {
        return None;
    }
    for (part, kind) in [
        ("inputs", "input"),
        ("constants", "weight"),
        ("nodes", "node"),
        ("outputs", "output"),
        ("checkpoints", "checkpoint"),
    ] {
        let (theirs, ours) = (list(&recorded[part]), list(&own[part]));
        for (theirs, ours) in theirs.iter().zip(ours) {
            if theirs != ours {
                return Some(entries(kind, theirs, ours));
            }
        }
        if theirs.len() != ours.len() {
            return Some(format!("it has {} {kind}s, this model {}", theirs.len(), ours.len()));
        }
    }
    Some("its format differs".to_owned())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Two entries of one kind at the same place.
fn entries(kind: &str, theirs: &Value, ours: &Value) -> String {
    let name = |entry: &Value| entry["name"].as_str().or(entry[0].as_str()).unwrap_or("?").to_owned();
    if name(theirs) != name(ours) {
        return format!("its {kind} `{}` stands where this model has `{}`", name(theirs), name(ours));
    }
    let fields = theirs.as_object().into_iter().flatten();
    let differing = fields.filter(|(key, value)| ours[key.as_str()] != **value);
    let said: Vec<String> = differing
        .map(|(key, value)| format!("{key} is {value}, this model's {}", ours[key.as_str()]))
        .collect();
    format!("{kind} `{}`: {}", name(theirs), said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let with = |epsilon: f64, digest: &str| {
            serde_json::json!({
                "constants": [{ "name": "gamma", "digest": digest }],
                "nodes": [{ "name": "norm", "op": { "LayerNorm": { "epsilon": epsilon } } }],
            })
            .to_string()
        };
        assert_eq!(difference(&with(1e-5, "a"), &with(1e-5, "a")), None);
        let weights = difference(&with(1e-5, "a"), &with(1e-12, "b")).unwrap();
        assert!(weights.starts_with("weight `gamma`: digest"), "{weights}");
        let ops = difference(&with(1e-5, "a"), &with(1e-12, "a")).unwrap();
        assert!(ops.starts_with("node `norm`: op") && ops.contains("1e-12"), "{ops}");
        assert!(difference("{", "{}").is_some());
    }
}
