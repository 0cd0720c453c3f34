import Bytes

/// How a moment is written: `iso8601`, `http`, or a pattern of the directives that `directives` lists.
struct TimeFormat: Sendable {
  private enum Style {
    case iso8601, http, pattern
  }

  private let style: Style
  private let pattern: [UInt8]
  /// Minutes east of UTC.
  private let offset: Int

  static let directives = "%Y %m %d %H %M %S, %L (milliseconds), %a %b (English), %z (+0800), %%"

  /// Why a text is no format or zone, with its offset in the text.
  struct Invalid: Error {
    var message: String
    var range: Range<Int>
  }

  /// - Parameter zone: `UTC`, or minutes east of it from `offset(zone:)`.
  init(_ format: [UInt8], offset: Int) throws(Invalid) {
    self.offset = offset
    pattern = format
    switch String(decoding: format, as: UTF8.self) {
    case "iso8601": style = .iso8601
    case "http":
      style = .http
      if offset != 0 { throw Invalid(message: "'http' dates are always in GMT", range: 0..<format.count) }
    default:
      style = .pattern
      try TimeFormat.check(format)
    }
  }

  private static func check(_ format: [UInt8]) throws(Invalid) {
    guard format.contains(UInt8(ascii: "%")) else {
      throw Invalid(message: "is neither 'iso8601', 'http' nor a pattern of \(directives)", range: 0..<format.count)
    }
    var index = 0
    while index < format.count {
      guard format[index] == UInt8(ascii: "%") else {
        index += 1
        continue
      }
      guard index + 1 < format.count, "YmdHMSLabz%".utf8.contains(format[index + 1]) else {
        throw Invalid(
          message: "unknown directive: there are \(directives)", range: index..<min(index + 2, format.count))
      }
      index += 2
    }
  }

  /// `UTC`, `Z`, or `+08:00`: minutes east of UTC, at most 14 hours either way.
  static func offset(zone: [UInt8]) -> Int? {
    if zone == Array("UTC".utf8) || zone == Array("Z".utf8) { return 0 }
    guard zone.count == 6, zone[0] == UInt8(ascii: "+") || zone[0] == UInt8(ascii: "-"), zone[3] == UInt8(ascii: ":"),
      let hours = UInt64(decimal: zone.span.extracting(1..<3)),
      let minutes = UInt64(decimal: zone.span.extracting(4..<6)), minutes < 60, hours * 60 + minutes <= 14 * 60
    else { return nil }
    let offset = Int(hours * 60 + minutes)
    return zone[0] == UInt8(ascii: "-") ? -offset : offset
  }

  func append(_ time: RequestTime, to buffer: inout Buffer) {
    switch style {
    case .http: buffer.appendHTTPDate(time.seconds)
    case .iso8601:
      buffer.appendISO8601(time.seconds &+ Int64(offset) * 60)
      if offset != 0 {
        buffer.truncate(to: buffer.count - 1)
        appendZone(to: &buffer, colon: true)
      }
    case .pattern: appendPattern(time, to: &buffer)
    }
  }

  private func appendPattern(_ time: RequestTime, to buffer: inout Buffer) {
    let local = CivilTime(time.seconds &+ Int64(offset) * 60)
    var index = 0
    while index < pattern.count {
      let byte = pattern[index]
      index += 1
      guard byte == UInt8(ascii: "%") else {
        buffer.append(byte)
        continue
      }
      let directive = pattern[index]
      index += 1
      switch directive {
      case UInt8(ascii: "Y"): buffer.appendDecimal(local.year, width: 4)
      case UInt8(ascii: "m"): buffer.appendDecimal(local.month, width: 2)
      case UInt8(ascii: "d"): buffer.appendDecimal(local.day, width: 2)
      case UInt8(ascii: "H"): buffer.appendDecimal(local.hour, width: 2)
      case UInt8(ascii: "M"): buffer.appendDecimal(local.minute, width: 2)
      case UInt8(ascii: "S"): buffer.appendDecimal(local.second, width: 2)
      case UInt8(ascii: "L"): buffer.appendDecimal(time.milliseconds, width: 3)
      case UInt8(ascii: "a"): appendName(local.weekday, of: "SunMonTueWedThuFriSat", to: &buffer)
      case UInt8(ascii: "b"): appendName(local.month - 1, of: "JanFebMarAprMayJunJulAugSepOctNovDec", to: &buffer)
      case UInt8(ascii: "z"): appendZone(to: &buffer, colon: false)
      default: buffer.append(directive)
      }
    }
  }

  private func appendZone(to buffer: inout Buffer, colon: Bool) {
    buffer.append(offset < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
    buffer.appendDecimal(abs(offset) / 60, width: 2)
    if colon { buffer.append(UInt8(ascii: ":")) }
    buffer.appendDecimal(abs(offset) % 60, width: 2)
  }

  private func appendName(_ index: Int, of names: StaticString, to buffer: inout Buffer) {
    for offset in 0..<3 { buffer.append(unsafe names.utf8Start[index * 3 + offset]) }
  }
}
