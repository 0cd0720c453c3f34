import Bytes
import JSON

/// Durations and sizes: a whole number and a unit, without a space.
extension Report {
  private static let durations = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
  private static let sizes = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]

  /// Milliseconds.
  func duration(_ member: JSONMember, in range: ClosedRange<Int> = 1...86_400_000) -> Int? {
    quantity(member, "a duration", Report.durations, guess: "s", in: range)
  }

  /// Bytes.
  func size(_ member: JSONMember, in range: ClosedRange<Int>) -> Int? {
    quantity(member, "a size", Report.sizes, guess: "KiB", in: range)
  }

  private func quantity(
    _ member: JSONMember, _ what: String, _ units: [(String, Int)], guess: String, in range: ClosedRange<Int>
  ) -> Int? {
    let accepted = "units are " + units.dropLast().map(\.0).joined(separator: ", ") + " and \(units.last?.0 ?? "")"
    if case .number(let text) = member.value.kind {
      error(
        "\"\(member.key)\" is \(what) and needs a unit", at: member.value,
        help: "write \"\(text)\(guess)\"; \(accepted)")
      return nil
    }
    guard let text = string(member) else { return nil }
    let digits = Array(text.utf8.prefix { $0.isASCIIDigit })
    let unit = String(text.dropFirst(digits.count))
    guard !digits.isEmpty, !unit.hasPrefix(".") else {
      error(
        "\"\(member.key)\" is \(what): a whole number and a unit", at: member.value,
        help: "write \"10\(guess)\"; \(accepted)")
      return nil
    }
    let number = UInt64(decimal: digits.span) ?? .max
    guard let factor = units.first(where: { $0.0 == unit })?.1 else {
      let help =
        Report.unitMeant(by: unit, units).map { "did you mean \"\(text.dropLast(unit.utf8.count))\($0)\"? \(accepted)" }
        ?? accepted
      let message =
        unit.isEmpty
        ? "\"\(member.key)\" is \(what) and needs a unit" : "\"\(unit)\" is not a unit of \"\(member.key)\""
      error(message, at: member.value, help: unit.isEmpty ? "write \"\(number)\(guess)\"; \(accepted)" : help)
      return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: UInt64(factor))
    guard !overflow, let value = Int(exactly: product), range.contains(value) else {
      let (low, high) = (Report.text(range.lowerBound, units), Report.text(range.upperBound, units))
      error("\"\(member.key)\" is \(what) from \(low) to \(high)", at: member.value)
      return nil
    }
    return value
  }

  /// `sec` is s, `MB` is MiB.
  private static func unitMeant(by word: String, _ units: [(String, Int)]) -> String? {
    let letters = word.drop { $0 == " " }.lowercased()
    guard let first = letters.first else { return nil }
    if ["ms", "msec", "millis", "milliseconds"].contains(letters) { return units.first { $0.0 == "ms" }?.0 }
    return units.first { $0.0.lowercased().first == first }.map { $0.0 == "ms" ? "m" : $0.0 }
  }

  /// The quantity in the largest unit that it is a whole number of.
  private static func text(_ value: Int, _ units: [(String, Int)]) -> String {
    let unit = units.last { value > 0 && value.isMultiple(of: $0.1) } ?? units[0]
    return "\(value / unit.1)\(unit.0)"
  }
}
