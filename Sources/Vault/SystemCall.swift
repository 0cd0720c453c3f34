internal import Crypto
internal import Glibc

/// The few calls on files that this module makes: interrupted ones are repeated, failures say what the system said.
enum SystemCall {
  /// What `errno` means.
  static func reason(_ code: Int32 = errno) -> String {
    unsafe String(cString: strerror(code))
  }

  /// What `errno` means for a file, `EACCES` and its like by a code of their own.
  static func failure(_ path: String) -> VaultError {
    let code = errno
    return VaultError([EACCES, EPERM, EROFS].contains(code) ? .forbidden : .inputOutput, path, reason(code))
  }

  static func open(_ path: String, _ flags: Int32) throws(VaultError) -> Int32 {
    let descriptor = unsafe Glibc.open(path, flags | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    return descriptor
  }

  /// As many bytes as there are, `limit` at most. For what is no secret.
  static func read(_ descriptor: Int32, upTo limit: Int, of path: String) throws(VaultError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = unsafe bytes.withUnsafeMutableBytes { room in
      Result { () throws(VaultError) in try unsafe fill(room, from: descriptor, of: path) }
    }
    return try Array(bytes.prefix(count.get()))
  }

  /// Reads until the room is full or the input ends; returns how many bytes.
  static func fill(
    _ room: UnsafeMutableRawBufferPointer, from descriptor: Int32, of path: String
  ) throws(VaultError) -> Int {
    var filled = 0
    while filled < room.count {
      let count = unsafe Glibc.read(descriptor, room.baseAddress.map { unsafe $0 + filled }, room.count - filled)
      if count == 0 { break }
      if count < 0 {
        guard errno == EINTR else { throw failure(path) }
        continue
      }
      filled += count
    }
    return filled
  }

  static func writeAll(_ bytes: Span<UInt8>, to descriptor: Int32, of path: String) throws(VaultError) {
    try unsafe bytes.withUnsafeBytes { bytes throws(VaultError) in
      var written = 0
      while written < bytes.count {
        let count = unsafe Glibc.write(descriptor, bytes.baseAddress.map { unsafe $0 + written }, bytes.count - written)
        if count < 0 && errno != EINTR { throw failure(path) }
        written += max(count, 0)
      }
    }
  }

  /// Makes the names in a directory durable.
  static func syncDirectory(_ path: String) throws(VaultError) {
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(path) }
  }
}
