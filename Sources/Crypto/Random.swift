public import Bytes
internal import COpenSSL

/// The operating system's randomness, through OpenSSL's generator.
public enum Random {
  /// Overwrites all of `room`. A generator that cannot work ends the process: there is nothing safe to continue with.
  @unsafe public static func fill(_ room: UnsafeMutableRawBufferPointer) {
    guard unsafe RAND_bytes(room.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(room.count)) == 1 else {
      fatalError("no randomness")
    }
  }

  /// Appends `count` random bytes.
  public static func append(_ count: Int, to buffer: inout Buffer) {
    unsafe buffer.write(upTo: count) { room in
      unsafe fill(room)
      return count
    }
  }

  /// `count` random bytes that are no secret (a salt, a nonce, an id).
  public static func bytes(_ count: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: count) { room, written in
      unsafe fill(UnsafeMutableRawBufferPointer(room))
      written = count
    }
  }

  /// A new random key.
  public static func secret(_ count: Int) -> Secret {
    unsafe Secret(count: count) { unsafe fill($0) }
  }
}
