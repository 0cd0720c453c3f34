internal import COpenSSL

/// Keys out of a passphrase, made expensive on purpose (RFC 7914).
public enum Scrypt {
  /// What one derivation costs: about `128 · n · r` bytes of memory, `p` times the work.
  public struct Cost: Sendable, Equatable {
    public let n: UInt64
    public let r: UInt64
    public let p: UInt64

    public init(n: UInt64, r: UInt64, p: UInt64) {
      self.n = n
      self.r = r
      self.p = p
    }

    /// A quarter of a second and 137 MB on a machine of 2024.
    public static let standard = Cost(n: 1 << 17, r: 8, p: 1)
  }

  /// - Parameter cost: may come from a file; one that wants more than 1 GiB is refused.
  /// - Throws: `KeyDerivationError.badCost`.
  public static func derive(
    from passphrase: Secret, salt: Span<UInt8>, cost: Cost, count: Int
  ) throws(KeyDerivationError) -> Secret {
    guard cost.n > 1, cost.n <= 1 << 24, cost.n & (cost.n - 1) == 0, (1...64).contains(cost.r),
      (1...64).contains(cost.p)
    else { throw .badCost }
    let memory = 128 * cost.r * (cost.n + cost.p + 2) + (1 << 20)
    guard memory <= 1 << 30 else { throw .badCost }
    return try unsafe Secret(count: count) { room throws(KeyDerivationError) in
      let done = unsafe passphrase.span.withUnsafeBytes { passphrase in
        unsafe salt.withUnsafeBytes { salt in
          unsafe EVP_PBE_scrypt(
            passphrase.baseAddress?.assumingMemoryBound(to: CChar.self), passphrase.count,
            salt.baseAddress?.assumingMemoryBound(to: UInt8.self), salt.count, cost.n, cost.r, cost.p, memory,
            room.baseAddress?.assumingMemoryBound(to: UInt8.self), room.count)
        }
      }
      guard done == 1 else { throw .badCost }
    }
  }
}
