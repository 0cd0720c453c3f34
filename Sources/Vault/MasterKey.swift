internal import Bytes
public import Crypto

/// What opens a store: 32 random bytes, or a passphrase that scrypt makes 32 bytes of.
public enum MasterKey: Sendable {
  case random(Secret)
  case passphrase(Secret)

  /// Bytes that a passphrase has at least.
  public static let shortestPassphrase = 12

  public static func generate() -> MasterKey { .random(Crypto.Random.secret(AESGCM.keyCount)) }

  /// Reads what a key file says.
  ///
  /// One line: `chatelaine-master-key-1:`, the key as unpadded base64url, `:`, and eight hexadecimal digits, the start of
  /// the key's SHA-256. So a damaged key is told from a wrong one, and secret scanners recognise it.
  /// - Parameter path: for the error.
  /// - Throws: `VaultError.keyMalformed`, `.keyTruncated`.
  init(text: Secret, path: String) throws(VaultError) {
    let bytes = text.span
    let prefix = MasterKey.prefix
    guard bytes.hasPrefix(prefix) else {
      let start = Array("\(prefix)".utf8.prefix(bytes.count))
      guard !bytes.equals(start.span) else { throw VaultError(.keyTruncated, path) }
      throw VaultError(.keyMalformed, path, "it does not start as one")
    }
    guard bytes.count >= MasterKey.textCount else { throw VaultError(.keyTruncated, path) }
    let body = bytes.extracting(prefix.utf8CodeUnitCount..<(MasterKey.textCount - 9))
    var key = Buffer()
    guard bytes.count == MasterKey.textCount, key.appendDecodedBase64URL(body), key.count == AESGCM.keyCount else {
      throw VaultError(.keyMalformed, path, "a character is wrong")
    }
    guard MasterKey.checksum(of: key.span).span.equals(bytes.extracting(last: 9)) else {
      throw VaultError(.keyMalformed, path, "its checksum is wrong")
    }
    self = .random(Secret(copying: key.span))
  }

  /// What a key file says, with its line end; nil for a passphrase, which is never written.
  var text: Secret? {
    guard case .random(let key) = self else { return nil }
    var text = Buffer(capacity: MasterKey.textCount + 1)
    text.append(MasterKey.prefix)
    text.appendBase64URL(key.span)
    text.append(MasterKey.checksum(of: key.span))
    text.append(UInt8(ascii: "\n"))
    return Secret(copying: text.span)
  }

  private static let prefix: StaticString = "chatelaine-master-key-1:"
  /// Without the line end.
  private static let textCount = 24 + 43 + 9

  /// The colon and the digits.
  private static func checksum(of key: Span<UInt8>) -> [UInt8] {
    var digest = Buffer()
    Digest.append(.sha256, of: key, to: &digest)
    var text = Buffer()
    text.append(UInt8(ascii: ":"))
    text.appendHex(digest.span.extracting(first: 4))
    return Array(text.span)
  }
}
