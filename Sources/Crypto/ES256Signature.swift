/// The two forms of a signature on P-256: DER, which OpenSSL speaks, and `r ‖ s` of 32 bytes each (RFC 7518 §3.4, IEEE P1363).
///
/// Both are short and of one shape, so they are read and written here: OpenSSL would allocate for each number.
enum ES256Signature {
  /// Bytes of the longest DER: two integers of 33 bytes, three heads of 2.
  static let longestDER = 72

  private static let sequence: UInt8 = 0x30
  private static let integer: UInt8 = 0x02

  /// Writes `r ‖ s` to the 64 bytes of `room`.
  /// - Returns: false unless `der` is a sequence of two integers that are not negative, have no byte too many and fit.
  @unsafe static func unpack(_ der: UnsafeBufferPointer<UInt8>, into room: UnsafeMutableRawBufferPointer) -> Bool {
    guard der.count >= 2, der.count <= longestDER, unsafe der[0] == sequence, unsafe Int(der[1]) == der.count - 2
    else { return false }
    let half = room.count / 2
    var offset = 2
    for part in 0..<2 {
      guard offset + 2 < der.count, unsafe der[offset] == integer else { return false }
      let count = unsafe Int(der[offset + 1])
      let start = offset + 2
      offset = start + count
      guard count > 0, offset <= der.count, unsafe der[start] < 0x80 else { return false }
      let isPadded = unsafe der[start] == 0 && count > 1
      if unsafe isPadded && der[start + 1] < 0x80 { return false }
      let number = start + (isPadded ? 1 : 0)..<offset
      guard number.count <= half else { return false }
      let padding = half - number.count
      for index in 0..<half {
        unsafe room[part * half + index] = index < padding ? 0 : unsafe der[number.lowerBound + index - padding]
      }
    }
    return offset == der.count
  }

  /// Writes the DER of the 64 bytes `raw` to `room`, which holds `longestDER`; returns how many bytes.
  @unsafe static func pack(_ raw: UnsafeRawBufferPointer, into room: UnsafeMutableBufferPointer<UInt8>) -> Int {
    let half = raw.count / 2
    var count = 2
    for part in 0..<2 {
      var number = part * half..<(part + 1) * half
      while unsafe number.count > 1 && raw[number.lowerBound] == 0 { number.removeFirst() }
      let isPadded = unsafe raw[number.lowerBound] >= 0x80
      unsafe room[count] = integer
      unsafe room[count + 1] = UInt8(number.count + (isPadded ? 1 : 0))
      count += 2
      if isPadded {
        unsafe room[count] = 0
        count += 1
      }
      for index in number {
        unsafe room[count] = unsafe raw[index]
        count += 1
      }
    }
    unsafe room[0] = sequence
    unsafe room[1] = UInt8(count - 2)
    return count
  }
}
