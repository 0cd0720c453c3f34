/// A set of byte values: membership is one shift and one mask.
public struct ByteSet: Sendable, Equatable {
  @usableFromInline internal var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  @inlinable public init() {}

  /// The bytes of the text's UTF-8.
  public init(_ text: StaticString) {
    text.withUTF8Buffer { bytes in
      for index in bytes.indices { insert(unsafe bytes[index]) }
    }
  }

  @inlinable public mutating func insert(_ byte: UInt8) {
    let bit = 1 as UInt64 &<< UInt64(byte & 63)
    switch byte &>> 6 {
    case 0: words.0 |= bit
    case 1: words.1 |= bit
    case 2: words.2 |= bit
    default: words.3 |= bit
    }
  }

  public mutating func insert(_ range: ClosedRange<UInt8>) {
    for byte in range { insert(byte) }
  }

  @inlinable public func contains(_ byte: UInt8) -> Bool {
    let word =
      switch byte &>> 6 {
      case 0: words.0
      case 1: words.1
      case 2: words.2
      default: words.3
      }
    return (word &>> UInt64(byte & 63)) & 1 == 1
  }

  public func union(_ other: ByteSet) -> ByteSet {
    var both = self
    both.words.0 |= other.words.0
    both.words.1 |= other.words.1
    both.words.2 |= other.words.2
    both.words.3 |= other.words.3
    return both
  }

  public static func == (a: ByteSet, b: ByteSet) -> Bool { a.words == b.words }
}

extension ByteSet {
  public static let digits = ByteSet("0123456789")
  public static let letters = ByteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  /// As `isUnreserved`, to make other sets of.
  public static let unreserved = letters.union(digits).union(ByteSet("-._~"))
}
