//! Checked values, and the way between them and the fields of the configuration.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use super::{Secret, error::Origin};

/// A value that its setting accepts.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Socket(SocketAddr),
    /// A text or a word.
    Text(String),
    Secret(Secret),
    Path(PathBuf),
    Duration(Duration),
    /// A count or a number of bytes.
    Number(u64),
    Bool(bool),
    Ratio(f64),
    List(Vec<String>),
}

/// The type of a field of the configuration.
pub(super) trait Field: Sized {
    /// The field of this value; none if the table gives it another kind.
    fn from_value(value: Value) -> Option<Self>;

    /// The value of this field; none if it is not set.
    fn to_value(&self) -> Option<Value>;

    /// The field of a setting that is not set; none if it must be.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Field> Field for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        T::from_value(value).map(Some)
    }

    fn to_value(&self) -> Option<Value> {
        self.as_ref().and_then(Field::to_value)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

macro_rules! fields {
    ($( $Type:ty = $Variant:ident; )+) => { $(
        impl Field for $Type {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$Variant(inner) => inner.try_into().ok(),
                    _ => None,
                }
            }

            fn to_value(&self) -> Option<Value> {
                Some(Value::$Variant(self.clone().try_into().ok()?))
            }
        }
    )+ };
}

fields! {
    SocketAddr = Socket;
    String = Text;
    Secret = Secret;
    PathBuf = Path;
    Duration = Duration;
    u32 = Number;
    usize = Number;
    bool = Bool;
    f64 = Ratio;
    Vec<String> = List;
}

/// What is known of each setting while a configuration is loaded.
#[derive(Debug, Default)]
pub(super) struct Values(BTreeMap<&'static str, Slot>);

/// One setting that somebody set, rightly or not.
#[derive(Debug)]
pub(super) struct Slot {
    /// None if what was set is refused.
    pub(super) value: Option<Value>,
    /// Who set it.
    pub(super) origin: Origin,
}

impl Values {
    /// Sets a setting, over what was set before.
    pub(super) fn set(&mut self, key: &'static str, value: Option<Value>, origin: Origin) {
        self.0.insert(key, Slot { value, origin });
    }

    /// What is set, rightly or not.
    pub(super) fn get(&self, key: &str) -> Option<&Slot> {
        self.0.get(key)
    }

    /// A duration that is set rightly, and who set it.
    pub(super) fn duration(&self, key: &str) -> Option<(Duration, &Origin)> {
        match self.get(key)? {
            Slot {
                value: Some(Value::Duration(duration)),
                origin,
            } => Some((*duration, origin)),
            _ => None,
        }
    }

    /// Takes a setting out as its field.
    ///
    /// # Errors
    /// The key, if it is not set or of another type.
    pub(super) fn take<T: Field>(&mut self, key: &'static str) -> Result<T, &'static str> {
        match self.0.remove(key) {
            Some(Slot {
                value: Some(value), ..
            }) => T::from_value(value),
            Some(Slot { value: None, .. }) => None,
            None => T::absent(),
        }
        .ok_or(key)
    }
}
