import Broker
import HTTP
import Testing

@Test func `a problem is a whole answer`() {
  var problem = Problem(.methodNotSupported, "A \"quoted\" detail.", route: "codegate", closes: true)
  problem.allow = .reading
  #expect(
    Example.text(problem) == """
      HTTP/1.1 405 Method Not Allowed\r
      Date: Thu, 01 Jan 2026 00:00:00 GMT\r
      X-Request-Id: 00000000000000010000000000000002\r
      Cache-Control: no-store\r
      X-Content-Type-Options: nosniff\r
      Cross-Origin-Resource-Policy: same-origin\r
      Content-Type: application/problem+json\r
      Connection: close\r
      Proxy-Status: chatelaine; error=http_request_error\r
      Allow: GET, HEAD\r
      Content-Length: 324\r
      \r
      {"type":"urn:chatelaine:problem:method_not_supported","title":"The method is not supported","status":405,\
      "detail":"A \\"quoted\\" detail.","code":"method_not_supported","route":"codegate",\
      "instance":"00000000000000010000000000000002",\
      "hint":"chatelaine explain ROUTE METHOD TARGET shows what would be sent","retryable":false}\n
      """)
}

@Test(arguments: ProblemCode.allCases) func `every code makes an answer that our own reader takes`(_ code: ProblemCode)
  throws
{
  for closes in [true, false] {
    let text = Example.text(Problem(code, "Why."), closes: closes)
    let bytes = Array(text.utf8)
    var reader = ResponseReader()
    try #require(try reader.read(bytes.span, requestMethodIsHEAD: false))
    #expect(reader.head.status == code.status && reader.head.wantsClose == closes)
    #expect(reader.head.framing == .length(UInt64(bytes.count - reader.head.byteCount)))
    #expect(text.contains("\r\nProxy-Status: chatelaine; error="))
    #expect(text.contains("\"code\":\"\(code.rawValue)\""))
  }
}

@Test func `an answer to HEAD has the length of what it leaves out`() {
  let problem = Problem(.unknownRoute, "Why.")
  let (whole, head) = (Example.text(problem), Example.text(problem, withBody: false))
  #expect(whole.hasPrefix(head) && head.hasSuffix("\r\n\r\n") && whole.count > head.count)
}

@Test func `codes and statuses are those of the interface`() {
  let fixed: [(String, Int)] = [
    ("malformed_request", 400), ("head_too_large", 431), ("uri_too_long", 414), ("body_too_large", 413),
    ("length_required", 411),
    ("unknown_route", 404), ("misdirected", 421), ("method_not_supported", 405), ("caller_unknown", 401),
    ("caller_not_allowed", 403),
    ("browser_refused", 403), ("secret_missing", 424), ("not_connected", 424), ("reauthorization_required", 424),
    ("state_unknown", 400),
    ("authorization_failed", 424), ("token_unavailable", 503), ("store_locked", 503), ("overloaded", 503),
    ("token_refused", 424),
    ("upstream_unresolved", 502), ("upstream_unreachable", 502), ("upstream_tls", 502), ("upstream_protocol", 502),
    ("upstream_truncated", 502), ("upstream_timeout", 504),
  ]
  for (code, status) in fixed { #expect(ProblemCode(rawValue: code)?.status == status, "\(code)") }
  let others: Set<ProblemCode> = [
    .requestTimeout, .expectationFailed, .notImplemented, .versionNotSupported, .signingFailed,
  ]
  #expect(Set(ProblemCode.allCases.map(\.rawValue)).subtracting(fixed.map(\.0)) == Set(others.map(\.rawValue)))
}

@Test func `what is transient says when to come again`() {
  for code in ProblemCode.allCases {
    let text = Example.text(Problem(code, "Why."))
    #expect(text.contains("\r\nRetry-After: ") == (code.status == 503), "\(code)")
    if code.status == 503 { #expect(code.isRetryable) }
    if (400..<500).contains(code.status), code != .requestTimeout { #expect(!code.isRetryable, "\(code)") }
  }
  #expect(Example.text(Problem(.overloaded, "Why.", retryAfter: 7)).contains("\r\nRetry-After: 7\r\n"))
}

@Test(arguments: HTTPError.allCases) func `an error of the reader keeps its status and ends the connection (I4)`(
  _ error: HTTPError
) {
  let problem = Problem(error)
  #expect(problem.status == error.status && problem.closes)
  #expect(problem.detail == "\(error.reason)")
}

@Test func `an id is 32 digits`() {
  #expect(RequestID(high: 0, low: 0).description == String(repeating: "0", count: 32))
  #expect(RequestID(high: .max, low: 0x0123_4567_89AB_CDEF).description == "ffffffffffffffff0123456789abcdef")
}
