extension Buffer {
  /// Appends the number in decimal: no sign for what is not negative, no leading zeroes. At most 64 bits.
  ///
  /// Inlined, since a generic is not specialised across modules and then costs a witness call a digit.
  @inlinable public mutating func appendDecimal(_ number: some FixedWidthInteger) {
    if number < 0 { append(0x2D) }
    appendDecimal(magnitude: UInt64(number.magnitude))
  }

  @usableFromInline mutating func appendDecimal(magnitude: UInt64) {
    var digits = InlineArray<20, UInt8>(repeating: 0x30)
    var first = digits.count
    var rest = magnitude
    repeat {
      first -= 1
      digits[first] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while rest > 0
    append(digits.span.extracting(first...))
  }

  /// Appends the number with zeroes in front up to `width` digits.
  /// - Parameter number: zero or more.
  public mutating func appendDecimal(_ number: Int, width: Int) {
    precondition(number >= 0)
    var limit = 10
    for _ in 1..<max(width, 1) {
      if number < limit { append(0x30) }
      limit *= 10
    }
    appendDecimal(number)
  }
}

extension UInt64 {
  /// Decimal digits only, all of the bytes: no sign, no white space, no empty text; `nil` too for what does not fit.
  public init?(decimal bytes: Span<UInt8>) {
    guard !bytes.isEmpty else { return nil }
    var value: UInt64 = 0
    for index in bytes.indices {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { return nil }
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(UInt64(digit))
      if overflow || carry { return nil }
      value = sum
    }
    self = value
  }
}
