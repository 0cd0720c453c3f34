/// A moment in UTC taken apart (proleptic Gregorian calendar, no leap seconds).
public struct CivilTime: Sendable, Equatable {
  public var year: Int
  /// 1–12.
  public var month: Int
  /// 1–31.
  public var day: Int
  public var hour: Int
  public var minute: Int
  public var second: Int
  /// 0 is Sunday.
  public var weekday: Int

  /// - Parameter seconds: since 1970, UTC; add a zone's offset for its local time.
  public init(_ seconds: Int64) {
    let (days, rest) = CivilTime.divide(Int(seconds), 86_400)
    hour = rest / 3600
    minute = rest / 60 % 60
    second = rest % 60
    weekday = CivilTime.divide(days + 4, 7).remainder
    // Years begin in March here, so that the leap day is the last: 400 years have 146,097 days.
    let (era, dayOfEra) = CivilTime.divide(days + 719_468, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// Seconds since 1970, UTC. What is out of its range counts on: the 31st of April is the 1st of May.
  public var seconds: Int64 {
    // Years begin in March here, too.
    let (era, yearOfEra) = CivilTime.divide(month <= 2 ? year - 1 : year, 400)
    let dayOfYear = (153 * (month <= 2 ? month + 9 : month - 3) + 2) / 5 + day - 1
    let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    return Int64(days * 86_400 + hour * 3600 + minute * 60 + second)
  }

  /// Rounds towards the past, so that the remainder is never negative.
  private static func divide(_ value: Int, _ by: Int) -> (quotient: Int, remainder: Int) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: by)
    return remainder < 0 ? (quotient - 1, remainder + by) : (quotient, remainder)
  }
}

private let dayNames: StaticString = "SunMonTueWedThuFriSat"
private let monthNames: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

extension Int64 {
  /// Reads an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), as seconds since 1970, UTC. Nil for all else:
  /// the obsolete formats, a day that the calendar has not or names otherwise, a leap second.
  public init?(httpDate date: Span<UInt8>) {
    // What the pattern has in place of `0` is a digit, and of `?` a letter that is looked at below.
    let pattern: StaticString = "???, 00 ??? 0000 00:00:00 GMT"
    guard date.count == pattern.utf8CodeUnitCount else { return nil }
    for index in date.indices {
      switch unsafe pattern.utf8Start[index] {
      case 0x30: guard 0x30...0x39 ~= date[index] else { return nil }
      case 0x3F: break
      case let byte: guard date[index] == byte else { return nil }
      }
    }
    func number(_ range: Range<Int>) -> Int { range.reduce(0) { $0 * 10 + Int(date[$1] - 0x30) } }
    func index(of start: Int, in names: StaticString, _ count: Int) -> Int? {
      (0..<count).first { name in (0..<3).allSatisfy { unsafe names.utf8Start[name * 3 + $0] == date[start + $0] } }
    }
    guard let weekday = index(of: 0, in: dayNames, 7), let month = index(of: 8, in: monthNames, 12) else { return nil }
    var time = CivilTime(0)
    (time.year, time.month, time.day, time.weekday) = (number(12..<16), month + 1, number(5..<7), weekday)
    (time.hour, time.minute, time.second) = (number(17..<19), number(20..<22), number(23..<25))
    self = time.seconds
    guard CivilTime(self) == time else { return nil }
  }
}

extension Buffer {
  /// Appends an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
  /// - Parameter seconds: since 1970, UTC, in the years 0–9999.
  public mutating func appendHTTPDate(_ seconds: Int64) {
    let time = CivilTime(seconds)
    appendName(time.weekday, dayNames)
    append(", ")
    appendDecimal(time.day, width: 2)
    append(0x20)
    appendName(time.month - 1, monthNames)
    append(0x20)
    appendDecimal(time.year, width: 4)
    append(0x20)
    appendClock(time)
    append(" GMT")
  }

  /// Appends `2026-01-01T00:00:00Z` (RFC 3339).
  /// - Parameter seconds: since 1970, UTC, in the years 0–9999.
  public mutating func appendISO8601(_ seconds: Int64) {
    let time = CivilTime(seconds)
    appendDecimal(time.year, width: 4)
    append(0x2D)
    appendDecimal(time.month, width: 2)
    append(0x2D)
    appendDecimal(time.day, width: 2)
    append(0x54)
    appendClock(time)
    append(0x5A)
  }

  private mutating func appendClock(_ time: CivilTime) {
    appendDecimal(time.hour, width: 2)
    append(0x3A)
    appendDecimal(time.minute, width: 2)
    append(0x3A)
    appendDecimal(time.second, width: 2)
  }

  private mutating func appendName(_ index: Int, _ names: StaticString) {
    for offset in 0..<3 { append(unsafe names.utf8Start[index * 3 + offset]) }
  }
}
