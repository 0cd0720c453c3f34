import Bytes
import Foundation
import JSON

/// The input is a text that may be JSON, strict or with comments.
func fuzzJSON(_ data: [UInt8]) {
  let strict = try? JSONReader.parse(Exact(data[...]).span, dialect: .strict)
  let relaxed = JSONReader.read(Source(file: "f", bytes: data), dialect: .jsonc)
  for diagnostic in relaxed.diagnostics {
    require(diagnostic.position.offset <= data.count && !diagnostic.rendered.isEmpty, "\(diagnostic)")
  }
  if relaxed.diagnostics.isEmpty, let value = relaxed.value {
    let plain = withoutComments(data)
    guard let again = try? JSONReader.parse(plain) else {
      fatalError("broken: without its comments this is not JSON: \(shown(data)), \(shown(plain))")
    }
    require(written(again) == written(value), "with and without comments: \(shown(data))")
  }
  guard let strict else { return }
  require(
    relaxed.diagnostics.isEmpty && relaxed.value.map(written) == written(strict), "the dialects of \(shown(data))")
  let text = written(strict)
  guard let again = try? JSONReader.parse(text) else {
    fatalError("broken: what was written of \(shown(data)) does not read: \(shown(text))")
  }
  require(written(again) == text, "\(shown(text)) reads otherwise")
  // Foundation knows no number that a Double does not hold.
  guard !hasNumber(strict) else { return }
  let foreign = try? JSONSerialization.jsonObject(with: Data(data), options: .fragmentsAllowed)
  require(foreign != nil, "only we accept \(shown(data))")
}

private func written(_ value: JSONValue) -> [UInt8] {
  var out = Buffer()
  out.appendJSON(value)
  return Array(out.span)
}

private func hasNumber(_ value: JSONValue) -> Bool {
  switch value.kind {
  case .number: true
  case .array(let elements): elements.contains(where: hasNumber)
  case .object(let members): members.contains { hasNumber($0.value) }
  default: false
  }
}

/// Comments become a space; a comma that only white space and comments part from a closing bracket goes.
private func withoutComments(_ text: [UInt8]) -> [UInt8] {
  var out: [UInt8] = []
  var rest = text[...]
  while let byte = rest.popFirst() {
    if byte == UInt8(ascii: "\"") {
      out.append(byte)
      while let inside = rest.popFirst() {
        out.append(inside)
        if inside == UInt8(ascii: "\\"), let escaped = rest.popFirst() { out.append(escaped) }
        if inside == UInt8(ascii: "\"") { break }
      }
    } else if byte == UInt8(ascii: "/"), rest.first == UInt8(ascii: "/") {
      rest = rest.drop { $0 != 0x0A }
      out.append(0x20)
    } else if byte == UInt8(ascii: "/"), rest.first == UInt8(ascii: "*") {
      rest = rest.dropFirst()
      while let inside = rest.popFirst(), inside != UInt8(ascii: "*") || rest.first != UInt8(ascii: "/") {}
      rest = rest.dropFirst()
      out.append(0x20)
    } else {
      if byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") {
        let last = out.lastIndex { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        if let last, out[last] == UInt8(ascii: ",") { out[last] = 0x20 }
      }
      out.append(byte)
    }
  }
  return out
}
