/// The chunked coding (RFC 9112 §7.1): rows 87–99.
///
///     size ─ CR LF ─▶ data ─ CR LF ─▶ size … ─ 0 CR LF ─▶ trailers ─ CR LF ─▶ finished
///
/// Every byte is looked at once. Extensions and trailers are checked and dropped.
struct ChunkReader: Sendable {
  enum Step: UInt8 {
    case size, sizeSpace, extensionStart, extensionName, extensionNameSpace, extensionValueStart, extensionToken
    case extensionQuoted, extensionEscape, extensionQuoteEnd, extensionSpace, sizeEnd
    case data, dataEnd, dataLineFeed
    case trailerStart, trailerName, trailerValue, trailerLineFeed, lastLineFeed, finished
  }

  private let limits: HTTPLimits
  private var step = Step.size
  private var digits: UInt8 = 0
  private var zeros: UInt8 = 0
  private var size: UInt64 = 0
  private var extensionBytes = 0
  private var allExtensionBytes = 0
  private var framingBytes: UInt64 = 0
  private var dataBytes: UInt64 = 0
  private var trailerBytes = 0
  private var trailerFields = 0
  /// The name of the trailer field that is being read, as far as it can be one that we know.
  private var name = InlineArray<24, UInt8>(repeating: 0)
  private var nameCount = 0

  init(_ limits: HTTPLimits) {
    self.limits = limits
  }

  mutating func next(_ input: Span<UInt8>) throws(HTTPError) -> BodyPiece {
    var at = 0
    while at < input.count {
      if step == .data {
        let count = Int(min(size, UInt64(input.count - at)))
        size -= UInt64(count)
        dataBytes += UInt64(count)
        if size == 0 { step = .dataEnd }
        return BodyPiece(consumed: at + count, payload: at..<at + count, finished: false)
      }
      try take(input[at])
      at += 1
      if step == .finished { return BodyPiece(consumed: at, payload: at..<at, finished: true) }
    }
    return BodyPiece(consumed: at, payload: at..<at, finished: false)
  }

  private mutating func take(_ byte: UInt8) throws(HTTPError) {
    switch step {
    case .size, .sizeEnd, .sizeSpace, .dataEnd, .dataLineFeed: try takeSize(byte)
    case .data, .finished: break
    case .trailerStart, .trailerName, .trailerValue, .trailerLineFeed, .lastLineFeed: try takeTrailer(byte)
    default: try takeExtension(byte)
    }
  }

  private mutating func takeSize(_ byte: UInt8) throws(HTTPError) {
    framingBytes += 1
    switch step {
    case .size:
      if let digit = Characters.hex(byte) {
        if size == 0, digit == 0 { zeros += 1 }
        digits += 1
        // A size of nothing but zeros is the last chunk; it may have as many as any other.
        guard digits <= 15, zeros <= 8 else { throw .badChunkSize }
        size = size << 4 | UInt64(digit)
        return
      }
      guard digits > 0 else { throw .badChunkSize }
      switch byte {
      case 0x0D: step = .sizeEnd
      case 0x3B: try beginExtension()
      case 0x20, 0x09:
        try countExtension()
        step = .sizeSpace
      default: throw .badChunkSize
      }
    case .sizeSpace:  // BWS, only ever before an extension
      switch byte {
      case 0x20, 0x09: try countExtension()
      case 0x3B: try beginExtension()
      default: throw .badChunkSize
      }
    case .sizeEnd:
      guard byte == 0x0A else { throw .badChunkSize }
      // Data pays for its framing, with room for a stream of single bytes; extensions have a limit of their own.
      guard framingBytes <= 16 * 1024 + 8 * (dataBytes + size) else { throw .chunkOverhead }
      step = size == 0 ? .trailerStart : .data
      (digits, zeros, extensionBytes) = (0, 0, 0)
    case .dataEnd:
      guard byte == 0x0D else { throw .badChunkEnd }
      step = .dataLineFeed
    default:
      guard byte == 0x0A else { throw .badChunkEnd }
      step = .size
    }
  }

  private mutating func beginExtension() throws(HTTPError) {
    try countExtension()
    step = .extensionStart
  }

  private mutating func countExtension() throws(HTTPError) {
    extensionBytes += 1
    allExtensionBytes += 1
    guard extensionBytes <= limits.chunkExtension, allExtensionBytes <= limits.chunkExtensions else {
      throw .badChunkExtension
    }
  }

  /// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`
  private mutating func takeExtension(_ byte: UInt8) throws(HTTPError) {
    let isSpace = byte == 0x20 || byte == 0x09
    let isToken = Characters.isToken(byte)
    switch step {
    case .extensionStart where isToken: step = .extensionName
    case .extensionStart where isSpace, .extensionName where isToken: break
    case .extensionValueStart where isSpace, .extensionToken where isToken: break
    case .extensionName where isSpace, .extensionNameSpace where isSpace: step = .extensionNameSpace
    case .extensionName where byte == 0x3D, .extensionNameSpace where byte == 0x3D: step = .extensionValueStart
    case .extensionValueStart where isToken: step = .extensionToken
    case .extensionValueStart where byte == 0x22: step = .extensionQuoted
    case .extensionQuoted where byte == 0x22: step = .extensionQuoteEnd
    case .extensionQuoted where byte == 0x5C: step = .extensionEscape
    case .extensionQuoted where byte == 0x09 || byte >= 0x20 && byte != 0x7F: break
    case .extensionEscape where byte == 0x09 || byte >= 0x20 && byte != 0x7F: step = .extensionQuoted
    case .extensionToken where isSpace, .extensionQuoteEnd where isSpace, .extensionSpace where isSpace:
      step = .extensionSpace
    case .extensionName where byte == 0x3B, .extensionNameSpace where byte == 0x3B,
      .extensionToken where byte == 0x3B, .extensionQuoteEnd where byte == 0x3B, .extensionSpace where byte == 0x3B:
      step = .extensionStart
    case .extensionName where byte == 0x0D, .extensionToken where byte == 0x0D, .extensionQuoteEnd where byte == 0x0D:
      framingBytes += 1
      step = .sizeEnd
      return
    default: throw .badChunkExtension
    }
    try countExtension()
  }

  private mutating func takeTrailer(_ byte: UInt8) throws(HTTPError) {
    trailerBytes += 1
    guard trailerBytes <= limits.trailers else { throw .trailersTooLarge }
    switch step {
    case .trailerStart:
      if byte == 0x0D {
        step = .lastLineFeed
        return
      }
      guard Characters.isToken(byte) else { throw .badTrailer }
      trailerFields += 1
      guard trailerFields <= limits.trailerFields else { throw .trailersTooLarge }
      nameCount = 0
      keepName(byte)
      step = .trailerName
    case .trailerName:
      if byte == 0x3A {
        try checkName()
        step = .trailerValue
        return
      }
      guard Characters.isToken(byte), nameCount < limits.name else { throw .badTrailer }
      keepName(byte)
    case .trailerValue:
      if byte == 0x0D {
        step = .trailerLineFeed
      } else if byte < 0x20 && byte != 0x09 || byte == 0x7F {
        throw .badTrailer
      }
    case .trailerLineFeed:
      guard byte == 0x0A else { throw .badTrailer }
      step = .trailerStart
    default:
      guard byte == 0x0A else { throw .badTrailer }
      step = .finished
    }
  }

  private mutating func keepName(_ byte: UInt8) {
    if nameCount < name.count { name[nameCount] = byte == 0x5F ? 0x2D : byte }
    nameCount += 1
  }

  /// Row 99. Names longer than what is kept are of a family with a known beginning, or none of ours.
  private func checkName() throws(HTTPError) {
    guard !FieldID(name.span.extracting(first: min(nameCount, name.count))).isForbiddenInTrailers else {
      throw .badTrailer
    }
  }
}
