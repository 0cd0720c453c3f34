import Bytes
public import Crypto
import JSON

/// What a token endpoint's answer means.
public enum TokenAnswer: Sendable {
  case granted(Token)
  /// It said no: the same request will not do better. In its own words, cleaned, when it had any.
  case refused(message: String?)
  /// It could not answer now; another time it may. In our words, and its own, cleaned.
  case unavailable(String)
  /// It answered something that is no token. In our words.
  case malformed(String)
}

extension TokenRecipe {
  /// Most of an answer that is read (SECURITY.md T4.5).
  public static let mostBytes = 64 << 10
  private static let mostDepth = 16
  /// Seconds that a token is good for when its endpoint should have said and did not, and there is a way to another.
  private static let standardLifetime: Int64 = 300
  /// Ten years of seconds.
  private static let longestLifetime: Int64 = 10 * 365 * 86_400

  /// Reads an answer.
  /// - Parameters:
  ///   - previous: the token that was refreshed; its refresh token stays when the answer has no other.
  ///   - now: Unix seconds.
  ///   - secrets: what an endpoint's own words are cleaned of, beside the previous token.
  public func read(
    status: Int, body: Span<UInt8>, previous: Token?, generation: Int64, now: Int64, hiding secrets: [Secret]
  ) -> TokenAnswer {
    switch status {
    case 300..<400: return .malformed("the endpoint answered \(status), and redirects are not followed")
    case 408, 425, 429, 500...: return .unavailable("the endpoint answered \(status)")
    default: break
    }
    let isSuccess = (200..<300).contains(status)
    let limits = JSONLimits(bytes: TokenRecipe.mostBytes, depth: TokenRecipe.mostDepth)
    let root: JSONValue
    do {
      root = try JSONReader.parse(body, limits: limits)
    } catch {
      return isSuccess ? .malformed("the endpoint's answer is \(error.code.described)") : .refused(message: nil)
    }
    let hidden = secrets + (previous?.fields.compactMap { $0 } ?? [])
    let words = errorMessage.lazy.compactMap { $0.value(in: root)?.string }.first { !$0.isEmpty }
    let message = words.map { TokenRecipe.clean($0, hiding: hidden) }
    if retry.contains(where: { $0.holds(in: root) }) {
      return .unavailable("the endpoint wants to be asked later" + (message.map { ": " + $0 } ?? ""))
    }
    let refusal = TokenAnswer.refused(message: message)
    guard isSuccess, accept.allSatisfy({ $0.holds(in: root) }) else { return refusal }
    if reading.accessToken.value(in: root) == nil, words != nil { return refusal }
    do throws(Malformation) {
      return .granted(try token(root, body, previous, generation, now))
    } catch {
      return .malformed(error.message)
    }
  }

  private struct Malformation: Error {
    var message: String
  }

  private func token(
    _ root: JSONValue, _ body: Span<UInt8>, _ previous: Token?, _ generation: Int64, _ now: Int64
  ) throws(Malformation) -> Token {
    guard let access = reading.accessToken.value(in: root) else {
      throw Malformation(message: "the endpoint's answer has no \(reading.accessToken.written)")
    }
    if let type = reading.tokenType.flatMap({ $0.value(in: root) }), type.string?.lowercased() != "bearer" {
      throw Malformation(message: "the endpoint gave a token of another type than Bearer")
    }
    var fields: [Secret?] = [try credential(access, reading.accessToken), previous?.refreshToken]
    var refreshExpiry = previous?.refreshExpiresAt
    if let path = reading.refreshToken, let refresh = path.value(in: root) {
      fields[1] = try credential(refresh, path)
      refreshExpiry = try time(reading.refreshExpiry, root, now, standard: nil)
    }
    // A token that nothing replaces is kept until it is refused.
    let isReplaceable = fetch != nil || refresh.map { !$0.needsToken || fields[1] != nil } ?? false
    let expiry = try time(reading.expiry, root, now, standard: isReplaceable ? TokenRecipe.standardLifetime : nil)
    let further = try furtherFields(fields, body, now)
    return Token(
      generation: generation, names: fieldNames, fields: fields + further, obtainedAt: now, expiresAt: expiry,
      refreshExpiresAt: refreshExpiry)
  }

  /// A text that can stand in a header, a query or a form as it is.
  private func credential(_ value: JSONValue, _ path: JSONPath) throws(Malformation) -> Secret {
    guard let text = value.string else { throw Malformation(message: "\(path.written) is not a string") }
    guard (1...Token.mostBytes).contains(text.utf8.count) else {
      throw Malformation(message: "\(path.written) is empty or longer than \(Token.mostBytes >> 10) KiB")
    }
    guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      throw Malformation(message: "\(path.written) has other than visible ASCII characters")
    }
    var copy = text
    return copy.withUTF8 { unsafe Secret(copying: $0.span) }
  }

  /// Unix seconds, at most ten years from now; nil when nothing says it.
  /// - Parameter standard: seconds from now when the answer should say and does not.
  private func time(
    _ expiry: Reading.Expiry?, _ root: JSONValue, _ now: Int64, standard: Int64?
  ) throws(Malformation) -> Int64? {
    let latest = now + TokenRecipe.longestLifetime
    switch expiry {
    case nil: return nil
    case .at(let path):
      guard let value = path.value(in: root) else { return standard.map { now + $0 } }
      guard let time = seconds(value) else { throw Malformation(message: "\(path.written) is not a number") }
      if time <= now { throw Malformation(message: "\(path.written) is in the past: the clock here may be wrong") }
      return min(time, latest)
    case .in(let path):
      guard let value = path.value(in: root) else { return standard.map { now + $0 } }
      guard let lifetime = seconds(value) else { throw Malformation(message: "\(path.written) is not a number") }
      if lifetime <= 0 { return standard.map { now + $0 } }
      return lifetime < TokenRecipe.longestLifetime ? now + lifetime : latest
    }
  }

  /// A number, or a string of one; a fraction is cut off, and what does not fit is as much as fits.
  private func seconds(_ value: JSONValue) -> Int64? {
    let text: String
    switch value.kind {
    case .number(let number), .string(let number): text = number
    default: return nil
    }
    guard let number = Double(text), number.isFinite else { return nil }
    return Int64(exactly: number.rounded(.towardZero)) ?? (number < 0 ? .min : .max)
  }

  private func furtherFields(_ standard: [Secret?], _ body: Span<UInt8>, _ now: Int64) throws(Malformation) -> [Secret?]
  {
    guard !fields.values.isEmpty else { return [] }
    let count = fieldNames.count - standard.count
    let token = Token(
      generation: 0, names: fieldNames, fields: standard + Array(repeating: nil, count: count), obtainedAt: now,
      expiresAt: nil, refreshExpiresAt: nil)
    var patch = Patch()
    defer { patch.forget() }
    let nothing = Span<UInt8>()
    let request = ConnectorRequest(
      block: nothing, method: 0..<0, path: 0..<0, query: nil, fields: nothing, headers: [], host: nothing, body: body,
      subject: nothing)
    guard let signer = try? Signer(connector: fields, secrets: [:], options: [:], route: ""),
      (try? signer.evaluate(
        request, token: token, time: RequestTime(seconds: now), entropy: RequestEntropy(), into: &patch)) != nil
    else { throw Malformation(message: "the fields of the token grow beyond all reason") }
    signer.token = token
    var result: [Secret?] = []
    for (index, value) in fields.values.enumerated() {
      let start = patch.arena.count
      guard signer.append(patch.state.values[index], request, &patch) else {
        guard isOptional[standard.count + index] else {
          throw Malformation(message: "the endpoint's answer does not give the token's field \(value.name)")
        }
        result.append(nil)
        continue
      }
      let bytes = patch.arena.span.extracting(start...)
      guard bytes.count <= Token.mostBytes, HeaderName.isValue(bytes) else {
        throw Malformation(message: "the token's field \(value.name) is too long or has a control character")
      }
      result.append(Secret(copying: bytes))
    }
    return result
  }

  /// An endpoint's own words as we may repeat them: one line of at most 300 characters, without control characters and
  /// without our secrets.
  public static func clean(_ message: String, hiding secrets: [Secret]) -> String {
    // Before what is invisible goes, and again after: either can make a secret of what was none.
    let hidden = Disguise.hide(secrets, in: message)
    let scalars = hidden.unicodeScalars.map { scalar -> Unicode.Scalar in
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator: " "
      case .format, .privateUse, .unassigned, .surrogate: "\u{FFFD}"
      default: scalar
      }
    }
    var line = String.UnicodeScalarView()
    for word in scalars.split(separator: " ") { line.append(contentsOf: (line.isEmpty ? [] : [" "]) + word) }
    let clean = Disguise.hide(secrets, in: String(line))
    return clean.count <= 300 ? clean : clean.prefix(299) + "…"
  }
}

extension JSONError.Code {
  fileprivate var described: String {
    switch self {
    case .tooLarge: "longer than \(TokenRecipe.mostBytes >> 10) KiB"
    case .tooDeep: "nested too deeply"
    case .duplicateKey: "JSON with a key twice"
    case .invalidUTF8, .byteOrderMark, .syntax: "no JSON"
    }
  }
}
