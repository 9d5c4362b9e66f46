//! Fold states as bytes: what a state has gathered can be carried from where its actors were folded to
//! where states are merged. Groups and values are in it by their ranks, so both sides need one numbering.

use std::collections::BTreeMap;
use std::hash::Hash;

use hashbrown::{HashMap, HashSet};

use super::key::OwnedKey;
use super::load::Number;
use crate::exact::ExactSum;

/// Written and read back by the same program: no version, little-endian.
pub trait Wire: Sized {
    fn put(&self, bytes: &mut Vec<u8>);

    /// Takes what was put off the front; `None` where the bytes are not those of such a thing.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// A struct is its listed fields; those that are not listed start anew.
macro_rules! wire {
    ($type:ty { $($field:ident),* $(; $($fresh:ident),*)? }) => {
        impl $crate::behaviour::wire::Wire for $type {
            fn put(&self, bytes: &mut Vec<u8>) {
                $($crate::behaviour::wire::Wire::put(&self.$field, bytes);)*
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self {
                    $($field: $crate::behaviour::wire::Wire::take(bytes)?,)*
                    $($($fresh: Default::default(),)*)?
                })
            }
        }
    };
}

pub(crate) use wire;

macro_rules! wire_numbers {
    ($($number:ty),*) => {
        $(impl Wire for $number {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_le_bytes(*number))
            }
        })*
    };
}

wire_numbers!(u8, u32, u64, i64, i128, f64);

impl Wire for usize {
    fn put(&self, bytes: &mut Vec<u8>) {
        (*self as u64).put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::try_from(u64::take(bytes)?).ok()
    }
}

impl Wire for bool {
    fn put(&self, bytes: &mut Vec<u8>) {
        u8::from(*self).put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        match u8::take(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.is_some().put(bytes);
        if let Some(value) = self {
            value.put(bytes);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(bytes)? { Some(T::take(bytes)?) } else { None })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.len().put(bytes);
        self.iter().for_each(|value| value.put(bytes));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let len = usize::take(bytes)?;
        // Grown as values come, so that a false length takes no memory.
        let mut values = Self::new();
        for _ in 0..len {
            values.push(T::take(bytes)?);
        }
        Some(values)
    }
}

impl Wire for Box<str> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.len().put(bytes);
        bytes.extend_from_slice(self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let len = usize::take(bytes)?;
        let (text, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        std::str::from_utf8(text).ok().map(Self::from)
    }
}

macro_rules! wire_tuples {
    ($(($($name:ident . $index:tt),*)),*) => {
        $(impl<$($name: Wire),*> Wire for ($($name,)*) {
            fn put(&self, bytes: &mut Vec<u8>) {
                $(self.$index.put(bytes);)*
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($name::take(bytes)?,)*))
            }
        })*
    };
}

wire_tuples!((A.0, B.1), (A.0, B.1, C.2));

/// In order, so that equal maps are equal bytes.
impl<K: Wire + Ord + Hash, V: Wire> Wire for HashMap<K, V> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.len().put(bytes);
        for (key, value) in self.iter().collect::<BTreeMap<_, _>>() {
            key.put(bytes);
            value.put(bytes);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(Vec::<(K, V)>::take(bytes)?.into_iter().collect())
    }
}

impl<K: Wire + Ord, V: Wire> Wire for BTreeMap<K, V> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.len().put(bytes);
        for (key, value) in self {
            key.put(bytes);
            value.put(bytes);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(Vec::<(K, V)>::take(bytes)?.into_iter().collect())
    }
}

impl<T: Wire + Ord + Hash> Wire for HashSet<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        let mut values: Vec<&T> = self.iter().collect();
        values.sort_unstable();
        values.len().put(bytes);
        values.into_iter().for_each(|value| value.put(bytes));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(Vec::<T>::take(bytes)?.into_iter().collect())
    }
}

impl Wire for OwnedKey {
    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Null => 0_u8.put(bytes),
            Self::Int(value) => (1_u8, *value).put(bytes),
            Self::Decimal(value) => (2_u8, *value).put(bytes),
            Self::Text(text) => {
                3_u8.put(bytes);
                text.put(bytes);
            }
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(bytes)? {
            0 => Self::Null,
            1 => Self::Int(Wire::take(bytes)?),
            2 => Self::Decimal(Wire::take(bytes)?),
            3 => Self::Text(Wire::take(bytes)?),
            _ => return None,
        })
    }
}

impl Wire for Number {
    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Int(value) => (0_u8, *value).put(bytes),
            Self::Float(value) => (1_u8, *value).put(bytes),
            Self::Decimal(units) => (2_u8, *units).put(bytes),
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(bytes)? {
            0 => Self::Int(Wire::take(bytes)?),
            1 => Self::Float(Wire::take(bytes)?),
            2 => Self::Decimal(Wire::take(bytes)?),
            _ => return None,
        })
    }
}

impl Wire for ExactSum {
    fn put(&self, bytes: &mut Vec<u8>) {
        let mut encoded = Vec::new();
        self.encode(&mut encoded);
        encoded.put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::decode(&Vec::take(bytes)?)
    }
}
