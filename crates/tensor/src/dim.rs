//! Extents that may be unknown until a run: constants, symbols and products of them.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The name of an extent that a run fixes, such as `batch`, `seq` or `tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(Arc<str>);

impl Symbol {
    /// A symbol of that name; equal names are the same symbol.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The values that a run gives to symbols.
pub type SymbolValues = BTreeMap<Symbol, usize>;

/// An extent: `coefficient * symbol * symbol ...`; a constant has no symbols.
///
/// Products are enough for transformers (`batch * seq`, `heads * 64`). Sums are left out on purpose: two dims are equal
/// exactly when their normal forms are, so shape inference never has to guess.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dim {
    coefficient: usize,
    symbols: Vec<Symbol>,
}

impl Dim {
    /// The symbol of that name, once.
    pub fn symbol(name: &str) -> Self {
        Self { coefficient: 1, symbols: vec![Symbol::new(name)] }
    }

    /// Its value if it holds no symbol.
    pub fn as_const(&self) -> Option<usize> {
        self.symbols.is_empty().then_some(self.coefficient)
    }

    /// Its symbol if it is exactly one symbol.
    pub fn as_symbol(&self) -> Option<&Symbol> {
        match (self.coefficient, self.symbols.as_slice()) {
            (1, [symbol]) => Some(symbol),
            _ => None,
        }
    }

    /// The symbols in it, in order, repeated as often as they occur.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The product of all of them; of none, 1.
    pub fn product<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> Self {
        let mut product = Dim::from(1);
        for dim in dims {
            product.coefficient = product.coefficient.saturating_mul(dim.coefficient);
            product.symbols.extend(dim.symbols.iter().cloned());
        }
        if product.coefficient == 0 {
            product.symbols.clear();
        }
        product.symbols.sort();
        product
    }

    /// `self / divisor` if that is a whole product, else `None`.
    pub fn divide(&self, divisor: &Dim) -> Option<Self> {
        if divisor.coefficient == 0 || !self.coefficient.is_multiple_of(divisor.coefficient) {
            return None;
        }
        let mut symbols = self.symbols.clone();
        for symbol in &divisor.symbols {
            let at = symbols.iter().position(|s| s == symbol)?;
            symbols.remove(at);
        }
        Some(Self { coefficient: self.coefficient / divisor.coefficient, symbols })
    }

    /// Its value under `values`.
    ///
    /// # Errors
    /// [`Error::Unbound`] names a symbol without a value.
    pub fn evaluate(&self, values: &SymbolValues) -> Result<usize> {
        let mut value = self.coefficient;
        for symbol in &self.symbols {
            let factor =
                values.get(symbol).ok_or_else(|| Error::Unbound { symbol: symbol.name().to_owned() })?;
            value = value.saturating_mul(*factor);
        }
        Ok(value)
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Self {
        Self { coefficient: value, symbols: Vec::new() }
    }
}

/// As it is displayed: `2*batch*seq` says all.
impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.symbols.is_empty() || self.coefficient != 1 {
            write!(f, "{}", self.coefficient)?;
        }
        for (index, symbol) in self.symbols.iter().enumerate() {
            let separator = if index > 0 || self.coefficient != 1 { "*" } else { "" };
            write!(f, "{separator}{}", symbol.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_equal_whatever_their_order() {
        let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
        let eight = Dim::from(8);
        assert_eq!(Dim::product([&batch, &seq, &eight]), Dim::product([&eight, &seq, &batch]));
        assert_eq!(Dim::product([&eight, &batch, &seq]).to_string(), "8*batch*seq");
    }

    #[test]
    fn division_undoes_a_product_and_refuses_the_rest() {
        let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
        let both = Dim::product([&batch, &seq, &Dim::from(6)]);
        assert_eq!(
            both.divide(&Dim::product([&Dim::from(3), &seq])),
            Some(Dim::product([&batch, &Dim::from(2)]))
        );
        assert_eq!(both.divide(&Dim::from(4)), None);
        assert_eq!(batch.divide(&seq), None);
        assert_eq!(batch.divide(&Dim::from(0)), None);
    }

    #[test]
    fn evaluation_names_the_symbol_without_a_value() {
        let error = Dim::symbol("tokens").evaluate(&SymbolValues::new()).unwrap_err();
        assert!(error.to_string().contains("`tokens`"));
    }
}
