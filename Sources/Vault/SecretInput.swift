public import Crypto
internal import Glibc

extension Secret {
  /// Bytes that a secret has at most.
  public static let limit = 65536

  /// Reads a secret to the end of the input without a copy outside the secret heap. One line end at its end is dropped:
  /// `echo` and editors add it.
  /// - Parameter name: of the secret or file, for the error.
  /// - Throws: `VaultError.tooLarge` past `limit`, `.inputOutput`.
  public static func read(
    from descriptor: Int32, named name: String, limit: Int = Secret.limit
  ) throws(VaultError) -> Secret {
    var count = 0
    // Room for the line end and one byte too many.
    let room = try unsafe Secret(count: limit + 3) { room throws(VaultError) in
      count = try unsafe SystemCall.fill(room, from: descriptor, of: name)
    }
    let bytes = room.span
    if count > 0, bytes[count - 1] == UInt8(ascii: "\n") {
      count -= 1
      if count > 0, bytes[count - 1] == UInt8(ascii: "\r") { count -= 1 }
    }
    guard count <= limit else { throw VaultError(.tooLarge, name, "more than \(limit) bytes") }
    return Secret(copying: bytes.extracting(first: count))
  }
}
