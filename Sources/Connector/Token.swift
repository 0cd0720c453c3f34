import Bytes
public import Crypto
import Synchronization

/// An access token as a token endpoint gave it, with what came along. What it is never changes; a new one is another `Token`.
public final class Token: Sendable {
  /// Counts the tokens of a route and subject.
  public let generation: Int64
  /// In the order of the recipe's `fieldNames`; nil for one that may be absent and is.
  public let fields: [Secret?]
  /// Unix seconds, like the next two.
  public let obtainedAt: Int64
  /// nil when the endpoint has no word on it: then the token is good until an upstream refuses it.
  public let expiresAt: Int64?
  /// nil as well when there is no refresh token.
  public let refreshExpiresAt: Int64?
  public let names: [String]

  private let revoked = Atomic(false)

  /// An upstream has said that it is over for good: all loops know that before whoever asked does.
  public var isRevoked: Bool { revoked.load(ordering: .acquiring) }

  public func revoke() { revoked.store(true, ordering: .releasing) }

  /// Every token's first two fields.
  static let standardNames = ["access_token", "refresh_token"]
  /// Most bytes of a field.
  static let mostBytes = 16 << 10
  private static let version: UInt8 = 1

  init(
    generation: Int64, names: [String], fields: [Secret?], obtainedAt: Int64, expiresAt: Int64?,
    refreshExpiresAt: Int64?
  ) {
    precondition(names.count == fields.count)
    self.generation = generation
    self.names = names
    self.fields = fields
    self.obtainedAt = obtainedAt
    self.expiresAt = expiresAt
    self.refreshExpiresAt = refreshExpiresAt
  }

  /// The same, as another generation.
  public func numbered(_ generation: Int64) -> Token {
    Token(
      generation: generation, names: names, fields: fields, obtainedAt: obtainedAt, expiresAt: expiresAt,
      refreshExpiresAt: refreshExpiresAt)
  }

  public var accessToken: Secret? { fields[0] }
  public var refreshToken: Secret? { fields[1] }

  /// By the name that the recipe gives it.
  public subscript(field: String) -> Secret? { names.firstIndex(of: field).flatMap { fields[$0] } }

  // MARK: In the store

  /// For the store, which seals it: a version, three times (8 bytes each, big-endian; zero for none), then each field as
  /// its name and its bytes with their lengths before them (1 and 4 bytes).
  public func encoded() -> Secret {
    var buffer = Buffer()
    buffer.append(Token.version)
    for time in [obtainedAt, expiresAt ?? 0, refreshExpiresAt ?? 0] {
      buffer.append(bigEndian: UInt64(bitPattern: time), bytes: 8)
    }
    for (name, field) in zip(names, fields) {
      guard let field else { continue }
      buffer.append(UInt8(name.utf8.count))
      buffer.append(name)
      buffer.append(bigEndian: UInt64(field.count), bytes: 4)
      buffer.append(field.span)
    }
    // The buffer wipes what it held.
    return Secret(copying: buffer.span)
  }

  /// What `encoded` made, perhaps for a recipe that has since changed: fields that it does not know are dropped.
  /// - Returns: nil for other bytes, and when a field is missing that the recipe always has.
  public convenience init?(decoding bytes: Span<UInt8>, generation: Int64, recipe: TokenRecipe) {
    guard bytes.count >= 25, bytes[0] == Token.version else { return nil }
    let times = (0..<3).map { Int64(bitPattern: bytes.bigEndian(1 + $0 * 8, bytes: 8)) }
    var fields = [Secret?](repeating: nil, count: recipe.fieldNames.count)
    var offset = 25
    while offset < bytes.count {
      let nameEnd = offset + 1 + Int(bytes[offset])
      guard nameEnd + 4 <= bytes.count else { return nil }
      let name = String(bytes.extracting(offset + 1..<nameEnd))
      let count = Int(bytes.bigEndian(nameEnd, bytes: 4))
      offset = nameEnd + 4 + count
      guard count <= Token.mostBytes, offset <= bytes.count else { return nil }
      guard let index = recipe.fieldNames.firstIndex(of: name) else { continue }
      fields[index] = Secret(copying: bytes.extracting(nameEnd + 4..<offset))
    }
    for (index, field) in fields.enumerated() where field == nil && !recipe.isOptional[index] { return nil }
    self.init(
      generation: generation, names: recipe.fieldNames, fields: fields, obtainedAt: times[0],
      expiresAt: times[1] == 0 ? nil : times[1], refreshExpiresAt: times[2] == 0 ? nil : times[2])
  }
}

extension Token: CustomStringConvertible, CustomReflectable {
  public var description: String { "•••" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Buffer {
  fileprivate mutating func append(bigEndian number: UInt64, bytes: Int) {
    for index in stride(from: bytes - 1, through: 0, by: -1) {
      append(UInt8(truncatingIfNeeded: number >> (8 * UInt64(index))))
    }
  }
}

extension Span where Element == UInt8 {
  fileprivate func bigEndian(_ offset: Int, bytes: Int) -> UInt64 {
    (offset..<offset + bytes).reduce(0) { $0 << 8 | UInt64(self[$1]) }
  }
}
