import Connector
import Foundation
import JSON
import Testing

@Suite struct FastMossTests {
  @Test func `every vector of the vendor's client gives its sign`() throws {
    let vectors = try JSONReader.parse(Bench.file("Tests/Vectors/fastmoss.json"))
    let cases = try #require(vectors["cases"]?.array)
    #expect(cases.count == 8)
    var bench = Bench(try #require(Catalog()["fastmoss"]))
    bench.method = "POST"
    for vector in cases {
      let uri = try #require(vector["uri"]?.string)
      let body = try #require(vector["body_base64"]?.string)
      bench.body = Array(try #require(Data(base64Encoded: body)))
      bench.secrets = ["client_id": "app-1", "client_secret": try #require(vector["secret"]?.string)]
      bench.token = ["access_token": "at-1"]
      let name = Comment(rawValue: vector["name"]?.string ?? "")
      let sign = try #require(vector["sign"]?.string)
      // The query is no part of the path that is signed, and none of ours in it survives.
      for query in ["", "?page=2", "?sign=forged&page=2&client_id=x&access_token=y&timestamp=1&signature_version=1"] {
        bench.target = uri + query
        let signed = try bench.signed()
        let kept = query.isEmpty ? "" : "page=2&"
        let expected = "access_token=at-1&sign=\(sign)&client_id=app-1&timestamp=1767225600&signature_version=2"
        #expect(signed.query == kept + expected, name)
        #expect(signed.headers == ["Content-Type": "application/json; charset=utf-8"] && signed.body == nil, name)
      }
      let steps = try bench.explained().steps
      #expect(steps.first { $0.name == "sign" }?.shown == sign, name)
      #expect(steps.first { $0.name == "access_token" }?.shown == "•••", name)
    }
  }
}
