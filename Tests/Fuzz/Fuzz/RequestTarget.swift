import Bytes
import HTTP

/// The first byte chooses the limits, so that small inputs reach them; the rest is what a caller sends.
func fuzzRequest(_ data: [UInt8]) {
  guard let choice = data.first else { return }
  check(request: Array(data.dropFirst()), choice & 1 == 0 ? .request : .tight)
}

/// The input is a request target.
func fuzzTarget(_ data: [UInt8]) {
  check(request: Array("GET ".utf8) + data + Array(" HTTP/1.1\r\nHost: a\r\n\r\n".utf8), .request)
}

extension HTTPLimits {
  static var tight: HTTPLimits {
    // A field has room for the longest name.
    var limits = HTTPLimits(head: 320, fields: 4, field: 140)
    limits.target = 24
    limits.method = 7
    return limits
  }

  /// For what we write ourselves, which may be a little longer than what was read.
  static let wide = HTTPLimits(head: 1 << 20, fields: 1000, field: 1 << 19)
}

/// What a reader says of a head.
enum Reading<Head> {
  case head(Head)
  case incomplete
  case refused(HTTPError)
}

extension Reading<RequestHead> {
  func isSame(as other: Reading) -> Bool {
    switch (self, other) {
    case (.head(let a), .head(let b)): a.isSame(as: b)
    case (.incomplete, .incomplete): true
    case (.refused(let a), .refused(let b)): a == b
    default: false
    }
  }
}

extension RequestHead {
  fileprivate func isSame(as other: RequestHead) -> Bool {
    (method, methodName, form, target) == (other.method, other.methodName, other.form, other.target)
      && (authority, isHTTPS, host) == (other.authority, other.isHTTPS, other.host)
      && (path, query, hasEmptySegments) == (other.path, other.query, other.hasEmptySegments)
      && (minorVersion, framing, byteCount) == (other.minorVersion, other.framing, other.byteCount)
      && (expectsContinue, wantsClose, asksForWebSocket) == (
        other.expectsContinue, other.wantsClose, other.asksForWebSocket
      )
      && nominatesOthers == other.nominatesOthers && fields == other.fields
  }
}

func read(request input: [UInt8], cuts: [Int], _ limits: HTTPLimits) -> Reading<RequestHead> {
  var reader = RequestReader(limits)
  do throws(HTTPError) {
    for cut in cuts where try reader.read(Exact(input[..<cut]).span) { return .head(reader.head) }
  } catch {
    return .refused(error)
  }
  return .incomplete
}

private func check(request input: [UInt8], _ limits: HTTPLimits) {
  let whole = read(request: input, cuts: [input.count], limits)
  for cuts in cuts(of: input) {
    let pieces = read(request: input, cuts: cuts, limits)
    require(pieces.isSame(as: whole), "\(shown(input)) cut at \(cuts) reads otherwise: \(pieces) and \(whole)")
  }
  guard case .head(let head) = whole else { return }
  guard let plain = PlainRequest(Array(input[..<head.byteCount]), limits) else {
    fatalError("broken: accepted, but not by a second reading: \(shown(input))")
  }
  let request = Request(head, input)
  require(request == Request(plain), "\(request) is not what a second reading finds in \(shown(input))")
  checkRoundTrip(head, input, request)
}

/// I3: what is written from the model reads as the same model.
private func checkRoundTrip(_ head: RequestHead, _ input: [UInt8], _ request: Request) {
  guard head.minorVersion == 1 else { return }
  var out = Buffer()
  out.appendRequestLine(method: request.method.span, path: input[head.target].span)
  for field in request.fields { out.appendField(name: field.name.span, value: field.value.span) }
  out.append("\r\n")
  let written = Array(out.span)
  guard case .head(let again) = read(request: written, cuts: [written.count], .wide) else {
    fatalError("broken: what was written of \(shown(input)) does not read: \(shown(written))")
  }
  require(Request(again, written) == request, "\(shown(written)) reads otherwise than \(shown(input))")
  require(again.form == head.form && again.target.count == head.target.count, "the target of \(shown(input))")
  require(again.wantsClose == head.wantsClose && again.expectsContinue == head.expectsContinue, shown(input))
  require(again.byteCount == written.count, "the end of \(shown(written))")
}

/// What a request says, whoever read it.
struct Request: Equatable {
  struct Field: Equatable {
    var name: [UInt8]
    var value: [UInt8]
  }

  var method: [UInt8]
  var path: [UInt8]
  var query: [UInt8]?
  var minorVersion: Int
  var host: [UInt8]
  var framing: BodyFraming
  var fields: [Field]

  init(_ head: RequestHead, _ bytes: [UInt8]) {
    method = Array(bytes[head.methodName])
    path = Array(bytes[head.path])
    query = head.query.map { Array(bytes[$0]) }
    minorVersion = head.minorVersion
    host = Array(bytes[head.host.all])
    framing = head.framing
    fields = head.fields.map { Field(name: Array(bytes[$0.name]), value: Array(bytes[$0.value])) }
  }

  init(_ plain: PlainRequest) {
    method = plain.method
    path = plain.path
    query = plain.query
    minorVersion = plain.minorVersion
    host = plain.host
    framing = plain.framing
    fields = plain.head.fields.map { Field(name: $0.name, value: $0.value) }
  }
}
