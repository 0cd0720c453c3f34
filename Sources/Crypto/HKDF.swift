/// Keys out of a key (RFC 5869).
public enum HKDF {
  /// - Parameters:
  ///   - salt: may be empty.
  ///   - count: bytes wanted, 255 digests at most.
  /// - Throws: `KeyDerivationError.tooLong`.
  public static func derive(
    _ algorithm: HashAlgorithm, from key: Secret, salt: Span<UInt8>, info: Span<UInt8>, count: Int
  ) throws(KeyDerivationError) -> Secret {
    let digestCount = algorithm.digestCount
    guard count <= 255 * digestCount else { throw .tooLong }
    let extract = HMAC(algorithm, key: salt)
    extract.update(key.span)
    let extracted = unsafe Secret(count: digestCount) { _ = unsafe extract.finish(in: $0) }

    let expand = HMAC(algorithm, key: extracted)
    let blocks = (count + digestCount - 1) / digestCount
    let whole = unsafe Secret(count: blocks * digestCount) { room in
      for block in 0..<blocks {
        let start = block * digestCount
        if block > 0 {
          let before = unsafe UnsafeRawBufferPointer(rebasing: room[(start - digestCount)..<start])
          unsafe expand.update(before.bindMemory(to: UInt8.self).span)
        }
        expand.update(info)
        expand.update([UInt8(block + 1)].span)
        _ = unsafe expand.finish(in: UnsafeMutableRawBufferPointer(rebasing: room[start...]))
      }
    }
    return Secret(copying: whole.span.extracting(first: count))
  }
}

/// Why no key was derived.
public enum KeyDerivationError: Error, Equatable {
  /// More than the function can give.
  case tooLong
  /// Cost parameters that scrypt does not define, or that exceed the bound on memory.
  case badCost
}
