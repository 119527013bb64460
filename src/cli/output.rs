//! Prints answers: any message of the proto, by its descriptor, for people or as JSON.
//!
//! JSON has the proto's field names, times in RFC 3339, durations in text, and the names of
//! enums without their prefix. Fields that are not set are left out.

use super::failure::{Exit, Failure};
use crate::proto::DESCRIPTORS;
use chrono::DateTime;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, Kind, ReflectMessage as _, Value,
};
use serde_json::{Map, Value as Json};
use std::{
    io::{ErrorKind, Write as _},
    time::Duration,
};

/// Fields that say something when they are not set, too.
const ALWAYS: [&str; 3] = ["active", "generation", "revoked_sessions"];

/// Prints a message of that name, such as `countersign.v1.IssueTokenResponse`.
pub(super) fn print<M: Message>(message: &M, name: &str, json: bool) -> Result<(), Failure> {
    let value = to_json(message, name)?;
    say(&if json {
        format!("{value:#}\n")
    } else {
        for_people(&value)
    })
}

/// Writes to stdout; a reader that has gone away, as `head` does, is no failure.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Failed,
            format!("cannot write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}

/// A message as JSON.
pub(super) fn to_json<M: Message>(message: &M, name: &str) -> Result<Json, Failure> {
    let defect = |what: String| Failure::new(Exit::Failed, format!("cannot print {name}: {what}"));
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| defect(error.to_string()))?;
    let descriptor = pool
        .get_message_by_name(name)
        .ok_or_else(|| defect("it is not in the proto".to_owned()))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| defect(error.to_string()))?;
    Ok(message_to_json(&message))
}

fn message_to_json(message: &DynamicMessage) -> Json {
    let number = |name: &str| {
        message
            .get_field_by_name(name)
            .and_then(|value| match *value {
                Value::I64(number) => Some(number),
                Value::I32(number) => Some(i64::from(number)),
                _ => None,
            })
    };
    let (seconds, nanos) = (
        number("seconds").unwrap_or_default(),
        number("nanos").unwrap_or_default(),
    );
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => {
            let at = DateTime::from_timestamp(seconds, u32::try_from(nanos).unwrap_or_default());
            at.map(|at| at.to_rfc3339()).into()
        }
        "google.protobuf.Duration" => {
            let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
            let rest = Duration::from_nanos(u64::try_from(nanos).unwrap_or_default());
            humantime::format_duration(whole + rest).to_string().into()
        }
        _ => {
            // In the order of the proto, which is the order of importance.
            let mut fields = Map::new();
            let told = |name: &str| ALWAYS.contains(&name);
            let descriptor = message.descriptor();
            for field in descriptor
                .fields()
                .filter(|field| message.has_field(field) || told(field.name()))
            {
                let value = value_to_json(&message.get_field(&field), &field.kind());
                fields.insert(field.name().to_owned(), value);
            }
            Json::Object(fields)
        }
    }
}

fn value_to_json(value: &Value, kind: &Kind) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I32(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::U32(value) => (*value).into(),
        Value::U64(value) => (*value).into(),
        Value::F32(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::String(value) => value.clone().into(),
        Value::Message(message) => message_to_json(message),
        Value::List(values) => values
            .iter()
            .map(|value| value_to_json(value, kind))
            .collect(),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(descriptor) => short_name(descriptor, *number).into(),
            _ => (*number).into(),
        },
        // The contract has neither maps nor bytes.
        Value::Bytes(_) | Value::Map(_) => Json::Null,
    }
}

/// `TOKEN_TYPE_BEARER` of `TokenType` is `BEARER`.
fn short_name(descriptor: &EnumDescriptor, number: i32) -> String {
    let Some(value) = descriptor.get_value(number) else {
        return number.to_string();
    };
    let mut prefix = String::new();
    for (at, c) in descriptor.name().char_indices() {
        if at > 0 && c.is_uppercase() {
            prefix.push('_');
        }
        prefix.push(c.to_ascii_uppercase());
    }
    prefix.push('_');
    value
        .name()
        .strip_prefix(&prefix)
        .unwrap_or(value.name())
        .to_owned()
}

/// Aligned lines; the members of a list of messages stand apart.
fn for_people(value: &Json) -> String {
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    let width = lines
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    lines
        .into_iter()
        .map(|(name, text)| {
            if name.is_empty() {
                "\n".to_owned()
            } else {
                format!("{name:width$}  {text}\n")
            }
        })
        .collect()
}

/// Names within a message are joined by dots; the members of the list that the answer is
/// bear none of its name.
fn flatten(name: &str, value: &Json, lines: &mut Vec<(String, String)>) {
    let within = |field: &str| match name {
        "" => field.to_owned(),
        _ => format!("{name}.{field}"),
    };
    match value {
        Json::Object(fields) => {
            for (field, value) in fields {
                flatten(&within(field), value, lines);
            }
        }
        Json::Array(values) if values.iter().any(Json::is_object) => {
            let is_answer = matches!(name, "clients" | "results" | "sessions");
            for (at, value) in values.iter().enumerate() {
                if at > 0 && is_answer {
                    lines.push((String::new(), String::new()));
                }
                flatten(if is_answer { "" } else { name }, value, lines);
            }
        }
        Json::Array(values) => {
            let texts: Vec<_> = values.iter().map(text).collect();
            lines.push((name.to_owned(), texts.join(" ")));
        }
        other => lines.push((name.to_owned(), text(other))),
    }
}

fn text(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    #[test]
    fn json_has_the_protos_names_and_short_enums() {
        let message = v1::RotateRefreshResponse {
            scopes: vec!["read".to_owned(), "write".to_owned()],
            token_type: v1::TokenType::Bearer.into(),
            outcome: v1::RotationOutcome::Replayed.into(),
            generation: 3,
            access_token_expires_at: Some(prost_types::Timestamp {
                seconds: 0,
                nanos: 0,
            }),
            ..v1::RotateRefreshResponse::default()
        };
        let json = to_json(&message, "countersign.v1.RotateRefreshResponse").unwrap();
        let expected = serde_json::json!({
            "token_type": "BEARER",
            "access_token_expires_at": "1970-01-01T00:00:00+00:00",
            "scopes": ["read", "write"],
            "outcome": "REPLAYED",
            "generation": 3,
        });
        assert_eq!(json, expected);
        assert!(for_people(&json).contains("scopes                   read write\n"));
    }

    #[test]
    fn a_message_that_is_not_in_the_proto_is_a_failure() {
        assert!(to_json(&(), "countersign.v1.Nothing").is_err());
    }
}
