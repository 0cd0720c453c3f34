import Bytes
import Crypto
import JSON

/// Finding secrets in a text, in their own bytes and in the usual encodings of them.
enum Disguise {
  /// A shorter one is in every other word.
  private static let fewest = 4

  /// The text with `•••` wherever a secret of four bytes or more stands.
  static func hide(_ secrets: [Secret], in text: String) -> String {
    var bytes = Array(text.utf8)
    for secret in secrets where secret.count >= fewest {
      let forms = plainForms(of: secret)
      for form in forms { replace(form.span, in: &bytes) }
      for form in forms { for needle in base64Forms(of: form.span) { replace(needle.span, in: &bytes) } }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// As it is, and with each way of escaping some of its characters.
  private static func plainForms(of secret: Secret) -> [Secret] {
    let encoders: [(Span<UInt8>, inout Buffer) -> Void] = [
      { $1.append($0) },
      { $1.appendPercentEncoded($0) },
      { $1.appendPercentEncoded($0, plusForSpace: true) },
      { $1.appendLowerPercentEncoded($0) },
      { bytes, buffer in
        var quoted = Buffer()
        quoted.appendJSON(bytes)
        buffer.append(quoted.span.extracting(1..<quoted.count - 1))
      },
      { bytes, buffer in
        for index in bytes.indices {
          if bytes[index] == UInt8(ascii: "/") { buffer.append(UInt8(ascii: "\\")) }
          buffer.append(bytes[index])
        }
      },
      { $1.appendHex($0) },
    ]
    return unique(
      encoders.map { encode in
        var buffer = Buffer()
        encode(secret.span, &buffer)
        return Secret(copying: buffer.span)
      })
  }

  /// Base64 of it wherever it begins in a group of three bytes: to the end of the text, then as far as the characters are
  /// its own and not its neighbours' as well.
  private static func base64Forms(of bytes: Span<UInt8>) -> [Secret] {
    var forms: [Secret] = []
    for shift in 0..<3 {
      var shifted = Buffer()
      for _ in 0..<shift { shifted.append(0) }
      shifted.append(bytes)
      var padded = Buffer()
      var plain = Buffer()
      padded.appendBase64(shifted.span)
      plain.appendBase64URL(shifted.span)
      let first = [0, 2, 3][shift]
      let (own, end) = (shifted.count * 8 / 6, plain.count)
      for last in [padded.count, end, own] where last - first >= fewest {
        forms.append(Secret(copying: padded.span.extracting(first..<last)))
      }
      for last in [end, own] where last - first >= fewest {
        forms.append(Secret(copying: plain.span.extracting(first..<last)))
      }
    }
    return unique(forms)
  }

  private static func unique(_ secrets: [Secret]) -> [Secret] {
    secrets.reduce(into: []) { found, secret in if !found.contains(secret) { found.append(secret) } }
  }

  private static func replace(_ needle: Span<UInt8>, in bytes: inout [UInt8]) {
    guard !needle.isEmpty, bytes.count >= needle.count else { return }
    var result: [UInt8] = []
    var done = 0
    var offset = 0
    while let start = bytes.span.firstOffset(of: needle[0], from: offset), start + needle.count <= bytes.count {
      offset = start + 1
      guard bytes.span.extracting(start..<start + needle.count).equals(needle) else { continue }
      result += bytes[done..<start]
      result += Array("•••".utf8)
      offset = start + needle.count
      done = offset
    }
    if done > 0 { bytes = result + bytes[done...] }
  }
}

extension Buffer {
  /// `%2f` where others write `%2F`.
  fileprivate mutating func appendLowerPercentEncoded(_ bytes: Span<UInt8>) {
    for index in bytes.indices {
      if ByteSet.unreserved.contains(bytes[index]) {
        append(bytes[index])
      } else {
        append(UInt8(ascii: "%"))
        append(hexDigit(bytes[index] &>> 4))
        append(hexDigit(bytes[index] & 15))
      }
    }
  }
}
