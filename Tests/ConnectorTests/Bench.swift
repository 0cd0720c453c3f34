import Bytes
@testable import Connector
import Crypto
import Foundation
import JSON
import Testing

/// A connector from text and one request to try it on, with every default filled in.
struct Bench {
  var connector: Connector
  var secrets: [String: String] = [:]
  var options: [String: String] = [:]
  /// Fields of the token; none at all is no token.
  var token: [String: String] = [:]
  var method = "GET"
  var target = "/"
  var headers: [String: String] = [:]
  var body: [UInt8] = []
  var time = RequestTime(seconds: 1_767_225_600)
  var entropy = RequestEntropy()

  init(_ connector: Connector) {
    self.connector = connector
  }

  /// - Parameter text: the file from `"secrets"` on, without the outer braces.
  init(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let source = "{ \"connector\": \"test\", " + text + " }"
    let (connector, diagnostics) = Connector.compile(source: Array(source.utf8), file: "test.jsonc")
    for diagnostic in diagnostics where diagnostic.severity == .error {
      Issue.record(Comment(rawValue: diagnostic.rendered), sourceLocation: sourceLocation)
    }
    self.connector = try #require(connector, sourceLocation: sourceLocation)
  }

  struct Signed: Equatable {
    var headers: [String: String] = [:]
    /// nil when the connector leaves the query alone or sends none.
    var query: String?
    var body: String?
  }

  func signer() throws -> Signer {
    try Signer(
      connector: connector, secrets: secrets.mapValues { Secret(copying: Array($0.utf8).span) }, options: options,
      route: "test")
  }

  func signed() throws -> Signed {
    let signer = try signer()
    var patch = Patch()
    try evaluate(signer, &patch)
    var signed = Signed()
    for header in patch.headers {
      signed.headers[signer.targets.headers[header.name].text] = String(patch.bytes.extracting(header.value))
    }
    signed.query = patch.query.map { String(patch.bytes.extracting($0)) }
    signed.body = patch.body.map { String(patch.bytes.extracting($0)) }
    return signed
  }

  func anyToken() -> Token? {
    guard !token.isEmpty, let names = connector.token?.fieldNames else { return nil }
    return Token(
      generation: 1, names: names, fields: names.map { token[$0].map { Secret(copying: Array($0.utf8).span) } },
      obtainedAt: 0, expiresAt: nil, refreshExpiresAt: nil)
  }

  func evaluate(_ signer: Signer, _ patch: inout Patch) throws {
    let parts = Parts(self)
    try signer.evaluate(parts.request, token: anyToken(), time: time, entropy: entropy, into: &patch)
  }

  func explained() throws -> Explanation {
    let parts = Parts(self)
    return try signer().explain(parts.request, token: anyToken(), time: time, entropy: entropy)
  }

  /// The bytes of a request, laid out as the data path does.
  struct Parts {
    let block: [UInt8]
    let method: Range<Int>
    let path: Range<Int>
    let query: Range<Int>?
    var fields: [UInt8] = []
    var headers: [Range<Int>?] = []
    let body: [UInt8]
    let host = Array("api.example.com".utf8)
    let subject = Array("alice".utf8)

    init(_ bench: Bench) {
      block = Array("\(bench.method) \(bench.target) HTTP/1.1\r\n".utf8)
      method = 0..<bench.method.utf8.count
      let start = method.upperBound + 1
      let end = start + bench.target.utf8.count
      let mark = block[start..<end].firstIndex(of: UInt8(ascii: "?"))
      path = start..<(mark ?? end)
      query = mark.map { $0 + 1..<end }
      body = bench.body
      for name in bench.connector.readHeaders {
        guard let value = bench.headers[name] else {
          headers.append(nil)
          continue
        }
        fields += Array(value.utf8)
        headers.append(fields.count - value.utf8.count..<fields.count)
      }
    }

    var request: ConnectorRequest {
      @_lifetime(borrow self)
      get {
        _overrideLifetime(
          ConnectorRequest(
            block: block.span, method: method, path: path, query: query, fields: fields.span, headers: headers,
            host: host.span, body: body.span, subject: subject.span), borrowing: self)
      }
    }
  }

  /// The repository's root.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func file(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: root.appendingPathComponent(path)))
  }
}
