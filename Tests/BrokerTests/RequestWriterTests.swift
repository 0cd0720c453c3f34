import Broker
import Testing

@Test func `what the connector sets comes after what is stripped`() throws {
  let snapshot = Snapshot(routes: [try Example.route("codegate", basePath: "/v2")])
  let request = """
    POST /codegate/a%2Fb?x=1&y HTTP/1.1\r
    Host: localhost:7220\r
    User-Agent:  curl/8 \r
    authorization: mine\r
    Connection: keep-alive, X-Foo\r
    X-Foo: 1\r
    Transfer-Encoding: chunked\r
    \r\n
    """
  #expect(
    try Example.forwarded(request, snapshot) == """
      POST /v2/a%2Fb?x=1&y HTTP/1.1\r
      Host: api.example.com\r
      User-Agent: curl/8\r
      Authorization: Bearer s3cret\r
      Transfer-Encoding: chunked\r
      \r\n
      """)
}
