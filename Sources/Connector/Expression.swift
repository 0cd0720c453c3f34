/// A connector's string as it was written: literal text with `${ … }` expressions.
///
/// Ranges are byte offsets into the decoded string; `Place` turns them into positions in the file.
struct Template {
  enum Piece {
    case literal([UInt8])
    case expression(Expression)
  }

  var pieces: [Piece]
}

struct Expression {
  indirect enum Kind {
    /// `'text'`.
    case text([UInt8])
    /// `42`.
    case number(Int64)
    /// `now`, `secret.api_key`, `header.X-Org`.
    case name(Word, field: Word?)
    /// `hex(…)`.
    case call(Word, [Expression])
  }

  struct Word {
    var text: String
    var range: Range<Int>
  }

  var kind: Kind
  var range: Range<Int>
}

/// What is wrong in a string of the language, and where in it.
struct LanguageError: Error, Equatable {
  var message: String
  var range: Range<Int>
  var suggestion: String? = nil
}
