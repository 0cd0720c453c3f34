import Broker
import Bytes
import Crypto
import Testing

@testable import Daemon

private func read(_ text: String, asQuery: Bool = true) throws(Problem) -> LoginReturn {
  let bytes = Array(text.utf8)
  return asQuery ? try LoginReturn(query: bytes.span, route: "r") : try LoginReturn(body: bytes.span, route: "r")
}

extension LoginReturn {
  fileprivate var text: String {
    [state, code.map { String($0.span) } ?? "-", error ?? "-", issuer ?? "-"].joined(separator: " ")
  }
}

@Test(arguments: [
  ("code=c%2Bd+e&state=s", "s c+d e - -"), ("state=s&code=&x=1&&iss=https%3A%2F%2Fi", "s  - https://i"),
  ("error=access_denied&state=s", "s - access_denied -"), ("state=s&code=c&error=e", "s c e -"),
])
func `a return's query is read as a form`(_ query: String, _ expected: String) throws {
  let back = try read(query)
  #expect(back.text == expected)
  #expect(back.code.map { "\($0)" } ?? "•••" == "•••")
}

@Test func `a code is passed on byte for byte`() throws {
  let code = try #require(try read("state=s&code=%C3%28%00%FF").code)
  #expect(code == Secret(copying: ([0xC3, 0x28, 0x00, 0xFF] as [UInt8]).span))
}

@Test(arguments: [
  "code=c", "state=&code=c", "state=s", "state=s&code=a&code=b", "state=s&code=%z", "state=s&code=c&%=1",
])
func `what is no return is refused`(_ query: String) {
  #expect(throws: Problem.self) { try read(query) }
  #expect(throws: Problem.self) { try read("state=s&code=" + String(repeating: "c", count: 4084)) }
}

@Test func `a program's return is the same in JSON`() throws {
  #expect(try read(#"{"code":"c","state":"s","iss":"i"}"#, asQuery: false).text == "s c - i")
  for text in ["[]", #"{"code":"c"}"#, #"{"code":1,"state":"s"}"#, #"{"code":"c","state":"s","x":"y"}"#] {
    #expect(throws: Problem.self) { try read(text, asQuery: false) }
  }
}
