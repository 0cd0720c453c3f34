internal import COpenSSL

/// A hash function: for `Digest`, `HMAC` and `HKDF`.
public enum HashAlgorithm: Sendable, CaseIterable {
  case md5, sha1, sha256, sha384, sha512

  /// Bytes of a digest.
  public var digestCount: Int {
    switch self {
    case .md5: 16
    case .sha1: 20
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }

  /// OpenSSL's name.
  var name: StaticString {
    switch self {
    case .md5: "MD5"
    case .sha1: "SHA1"
    case .sha256: "SHA256"
    case .sha384: "SHA384"
    case .sha512: "SHA512"
    }
  }

  /// Fetched once a process: fetching costs more than hashing a short message.
  var method: OpaquePointer {
    switch self {
    case .md5: unsafe Fetched.md5
    case .sha1: unsafe Fetched.sha1
    case .sha256: unsafe Fetched.sha256
    case .sha384: unsafe Fetched.sha384
    case .sha512: unsafe Fetched.sha512
    }
  }

  /// Fetched once a process. OpenSSL never changes what it gives out, and all threads may use it.
  private enum Fetched {
    nonisolated(unsafe) static let md5 = unsafe fetch(.md5)
    nonisolated(unsafe) static let sha1 = unsafe fetch(.sha1)
    nonisolated(unsafe) static let sha256 = unsafe fetch(.sha256)
    nonisolated(unsafe) static let sha384 = unsafe fetch(.sha384)
    nonisolated(unsafe) static let sha512 = unsafe fetch(.sha512)

    private static func fetch(_ algorithm: HashAlgorithm) -> OpaquePointer {
      let name = unsafe UnsafeRawPointer(algorithm.name.utf8Start).assumingMemoryBound(to: CChar.self)
      return unsafe mustExist(EVP_MD_fetch(nil, name, nil), "OpenSSL lacks a hash function")
    }
  }
}
