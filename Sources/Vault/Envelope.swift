internal import Bytes
internal import Crypto

/// Where a sealed value lies. It is authenticated with the value, so a value that was moved to another row, column,
/// store or version does not open.
struct RowIdentity {
  var store: [UInt8]
  var table: StaticString
  var row: Int64
  var column: StaticString
  /// Whose it is: a secret's name, a token's route and subject.
  var owner: String
  var kind: StaticString
  /// The data key that seals, 0 for the master key.
  var key: Int64
  var version: Int64
  /// The row's other columns, in tables that have any that matter.
  var details: [UInt8]?

  /// Every part behind its length, so that no two identities read alike.
  var associated: [UInt8] {
    var bytes = Buffer()
    func append(_ part: Span<UInt8>) {
      append(UInt32(part.count).bigEndian)
      bytes.append(part)
    }
    func append<Integer: FixedWidthInteger>(_ value: Integer) {
      var value = value
      unsafe withUnsafeBytes(of: &value) { unsafe bytes.append(raw: $0) }
    }
    func append(_ text: StaticString) {
      append(UInt32(text.utf8CodeUnitCount).bigEndian)
      bytes.append(text)
    }
    func append(number: Int64) {
      append(UInt32(8).bigEndian)
      append(number.bigEndian)
    }
    append("chatelaine-secret-v1")
    append(store.span)
    append(table)
    append(number: row)
    append(column)
    append(Array(owner.utf8).span)
    append(kind)
    append(number: key)
    append(number: version)
    if let details { append(details.span) }
    return Array(bytes.span)
  }
}

/// A sealed value as a row holds it: AES-256-GCM under a key of its own, derived from a key and the row's salt.
/// What is sealed is padded to blocks of 64 bytes, so that a copy of the file tells sizes only roughly.
struct Envelope {
  var salt: [UInt8]
  var nonce: [UInt8]
  var sealed: [UInt8]

  private static let block = 64

  static func seal(_ value: Span<UInt8>, under key: Secret, as identity: RowIdentity) -> Envelope {
    let salt = Random.bytes(16)
    let nonce = Random.bytes(AESGCM.nonceCount)
    var padded = Buffer(capacity: value.count + 4 + block)
    for shift in [24, 16, 8, 0] { padded.append(UInt8(truncatingIfNeeded: value.count >> shift)) }
    padded.append(value)
    while padded.count % block != 0 { padded.append(0) }
    var sealed = Buffer(capacity: padded.count + AESGCM.tagCount)
    do {
      try AESGCM.seal(
        padded.span, key: rowKey(key, salt), nonce: nonce.span, associated: identity.associated.span, to: &sealed)
    } catch {
      // Key and nonce have the lengths that they are made with.
      fatalError("cannot seal")
    }
    return Envelope(salt: salt, nonce: nonce, sealed: Array(sealed.span))
  }

  /// Nil if this was not sealed under this key for this place.
  func open(under key: Secret, as identity: RowIdentity) -> Secret? {
    guard
      let padded = try? AESGCM.open(
        sealed.span, key: Envelope.rowKey(key, salt), nonce: nonce.span, associated: identity.associated.span),
      padded.count >= 4
    else { return nil }
    let bytes = padded.span
    let count = (0..<4).reduce(0) { $0 << 8 | Int(bytes[$1]) }
    guard count <= bytes.count - 4 else { return nil }
    return Secret(copying: bytes.extracting(4..<(4 + count)))
  }

  private static func rowKey(_ key: Secret, _ salt: [UInt8]) -> Secret {
    let info = Array("chatelaine-row-v1".utf8)
    // It has no more than 8160 bytes to give, and says so; these are 32.
    guard let key = try? HKDF.derive(.sha256, from: key, salt: salt.span, info: info.span, count: AESGCM.keyCount)
    else { fatalError("cannot derive") }
    return key
  }
}
