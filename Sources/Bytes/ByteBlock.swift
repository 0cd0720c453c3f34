/// Sixteen bytes of a text, looked at together: one comparison of a vector instead of sixteen of bytes.
///
/// A question is answered by a mask, lane by lane; the lanes are in the order of the text.
@frozen public struct ByteBlock {
  @usableFromInline let lanes: SIMD16<UInt8>

  /// Bytes of a block.
  @inlinable @inline(__always) public static var count: Int { 16 }

  /// - Parameter offset: at least `count` bytes before the end.
  @inlinable @inline(__always) public init(_ bytes: Span<UInt8>, at offset: Int) {
    lanes = unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
  }

  public typealias Mask = SIMDMask<SIMD16<Int8>>

  /// Those that are `byte`.
  @inlinable @inline(__always) public func are(_ byte: UInt8) -> Mask { lanes .== SIMD16(repeating: byte) }

  /// Those from `first` to `last`.
  @inlinable @inline(__always) public func are(_ first: UInt8, to last: UInt8) -> Mask {
    (lanes &- SIMD16(repeating: first)) .<= SIMD16(repeating: last &- first)
  }

  /// Control characters: 0x00–0x1F and 0x7F.
  @inlinable @inline(__always) public var areControls: Mask { are(0x00, to: 0x1F) .| are(0x7F) }

  /// How many bytes there are before the first one of the mask; `count` when it has none.
  @inlinable @inline(__always) public static func before(_ mask: Mask) -> Int {
    let halves = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
    let low = UInt64(littleEndian: halves[0])
    if low != 0 { return low.trailingZeroBitCount &>> 3 }
    return 8 &+ UInt64(littleEndian: halves[1]).trailingZeroBitCount &>> 3
  }
}
