import Connector
import Foundation
import JSON
import Testing

@Suite struct CodegateTests {
  @Test func `every vector of the vendor's client gives its signature`() throws {
    let vectors = try JSONReader.parse(Bench.file("Tests/Vectors/codegate.json"))
    let cases = try #require(vectors["cases"]?.array)
    #expect(cases.count == 24)
    let codegate = try #require(Catalog()["codegate"])
    for vector in cases {
      var bench = Bench(codegate)
      bench.method = try #require(vector["method"]?.string)
      bench.target = try #require(vector["target"]?.string)
      let body = try #require(vector["body_base64"]?.string)
      bench.body = Array(try #require(Data(base64Encoded: body)))
      let now = try #require(vector["timestamp"]?.int)
      bench.time = RequestTime(seconds: Int64(now))
      let secret = try #require(vector["secret"]?.string)
      bench.secrets = ["api_key": "the-key", "secret": secret]
      let name = Comment(rawValue: vector["name"]?.string ?? "")
      let signed = try bench.signed()
      #expect(signed.headers["X-Signature"] == vector["signature"]?.string, name)
      #expect(signed.headers["X-Timestamp"] == String(now), name)
      #expect(signed.headers["X-API-Key"] == "the-key", name)
      #expect(signed.headers.count == 3 && signed.query == nil && signed.body == nil, name)
      let steps = try bench.explained().steps
      #expect(steps.first { $0.name == "string_to_sign" }?.shown == vector["string_to_sign"]?.string, name)
      #expect(steps.first { $0.name == "canonical_query" }?.shown == vector["canonical_query"]?.string, name)
    }
  }
}
