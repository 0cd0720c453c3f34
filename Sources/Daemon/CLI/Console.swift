import Bytes
import Glibc
import JSON

/// What a command says: results on stdout, held until it is known that they are complete, and messages on stderr at once.
final class Console {
  private var result = Buffer()

  /// A line of the result.
  func show(_ line: String = "") {
    result.append(Console.printable(line))
    result.append("\n")
  }

  /// A result of several lines that ends with a line feed, or JSON that gets one.
  func show(_ bytes: Span<UInt8>) {
    result.append(bytes)
    if bytes.count == 0 || bytes[bytes.count - 1] != UInt8(ascii: "\n") { result.append("\n") }
  }

  func show(_ value: JSONValue) {
    result.appendJSON(value)
    result.append("\n")
  }

  /// Something for people to know that is no result.
  func tell(_ message: String, endsLine: Bool = true) {
    var text = Buffer()
    text.append(Console.printable(message))
    if endsLine { text.append("\n") }
    _ = Console.write(text.span, to: 2)
  }

  /// What others said must not move a terminal's cursor, or worse.
  private static func printable(_ text: String) -> String {
    let isHarmless = { (scalar: Unicode.Scalar) in
      scalar == "\n" || scalar == "\t" || scalar.properties.generalCategory != .control
    }
    if text.unicodeScalars.allSatisfy(isHarmless) { return text }
    var clean = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { clean.append(isHarmless(scalar) ? scalar : "\u{FFFD}") }
    return String(clean)
  }

  /// Writes the result.
  /// - Throws: when not all of it could be written: a full disk or a closed pipe is no success.
  func finish() throws(CommandError) {
    defer { result.clear() }
    guard Console.write(result.span, to: 1) else {
      throw CommandError(CommandError.Status.inputOutput, "cannot write the result: \(reason())")
    }
  }

  private static func write(_ bytes: Span<UInt8>, to descriptor: Int32) -> Bool {
    unsafe bytes.withUnsafeBytes { bytes in
      var written = 0
      while written < bytes.count {
        let count = unsafe Glibc.write(descriptor, bytes.baseAddress.map { unsafe $0 + written }, bytes.count - written)
        if count < 0, errno != EINTR { return false }
        written += max(count, 0)
      }
      return true
    }
  }

  /// Columns of text, each as wide as its widest cell; a last column is not padded.
  func table(_ rows: [[String]]) {
    var widths: [Int] = []
    for row in rows {
      for (column, cell) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], cell.unicodeScalars.count)
      }
    }
    for row in rows {
      let cells = row.enumerated().map { column, cell in
        column == row.count - 1
          ? cell : cell + String(repeating: " ", count: widths[column] - cell.unicodeScalars.count)
      }
      show(cells.joined(separator: "  "))
    }
  }
}

/// What `errno` means.
func reason(_ code: Int32 = errno) -> String {
  unsafe String(cString: strerror(code))
}
