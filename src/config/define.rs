//! The macros behind the table: a row is one line and its doc comment.

/// Declares the typed configuration and, from the same rows, the table of settings.
///
/// Every row gives a field of [`Config`](super::Config) or of a section's struct, a
/// [`Setting`](super::setting::Setting), and the way between the two.
macro_rules! settings {
    (
        top { $( $(#[doc = $top_doc:literal])+ $top:ident: $top_type:ty = $top_kind:expr, $top_need:expr; )+ }
        $( section $section:ident: $Section:ident = $about:literal {
            $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $kind:expr, $need:expr; )+
        } )+
    ) => {
        /// The whole configuration, checked.
        #[derive(Debug, Clone)]
        pub struct Config {
            $( $(#[doc = $top_doc])+ pub $top: $top_type, )+
            $( #[doc = $about] pub $section: $Section, )+
        }

        $(
            #[doc = $about]
            #[derive(Debug, Clone)]
            pub struct $Section {
                $( $(#[doc = $doc])+ pub $name: $type, )+
            }
        )+

        /// The sections of the file and what each is about.
        pub(super) const SECTIONS: &[(&str, &str)] = &[ $( (stringify!($section), $about), )+ ];

        /// Every setting, in the order of the file.
        pub(super) const SETTINGS: &[Setting] = &[
            $( Setting {
                key: stringify!($top),
                kind: $top_kind,
                need: $top_need,
                doc: &[$($top_doc),+],
            }, )+
            $( $( Setting {
                key: concat!(stringify!($section), ".", stringify!($name)),
                kind: $kind,
                need: $need,
                doc: &[$($doc),+],
            }, )+ )+
        ];

        impl Config {
            /// Builds the configuration from checked values.
            ///
            /// # Errors
            /// The key whose value is missing or of another type than its field.
            pub(super) fn from_values(values: &mut Values) -> Result<Self, &'static str> {
                Ok(Self {
                    $( $top: values.take(stringify!($top))?, )+
                    $( $section: $Section {
                        $( $name: values.take(concat!(stringify!($section), ".", stringify!($name)))?, )+
                    }, )+
                })
            }

            /// Every setting with its value here, in the order of the file.
            pub(super) fn values(&self) -> impl Iterator<Item = (&'static Setting, Option<Value>)> {
                let values = [
                    $( Field::to_value(&self.$top), )+
                    $( $( Field::to_value(&self.$section.$name), )+ )+
                ];
                SETTINGS.iter().zip(values)
            }
        }
    };
}

/// Declares a choice of words: the enum, its `WORDS`, and the way between them.
macro_rules! words {
    (
        $(#[doc = $doc:literal])+
        $Name:ident { $( $(#[doc = $word_doc:literal])+ $Word:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $Name {
            $( $(#[doc = $word_doc])+ $Word, )+
        }

        impl $Name {
            /// The accepted words.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word of this choice.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$Word => $word, )+ }
            }
        }

        impl Field for $Name {
            fn from_value(value: Value) -> Option<Self> {
                let Value::Text(text) = value else { return None };
                match text.as_str() {
                    $( $word => Some(Self::$Word), )+
                    _ => None,
                }
            }

            fn to_value(&self) -> Option<Value> {
                Some(Value::Text(self.as_str().to_owned()))
            }
        }
    };
}

pub(super) use {settings, words};
