import Testing

@testable import Config

@Suite struct AuthorityTests {
  @Test(arguments: [
    ("example.com", "example.com"), ("EXAMPLE.com:80", "example.com:80"), ("a-b_c.d1", "a-b_c.d1"),
    ("127.0.0.1", "127.0.0.1"), ("[::1]:8443", "[::1]:8443"), ("[2001:DB8:0:0:1:0:0:1]", "[2001:db8::1:0:0:1]"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("localhost:0", "localhost:0"),
    ("[::ffff:1.2.3.4]", "[::ffff:102:304]"),
  ]) func `hosts are read and written in one spelling`(text: String, expected: String) throws {
    #expect(try Authority(text).description == expected)
  }

  @Test(arguments: [
    "", ":80", "a:", "a:b", "a:-1", "a:+1", "a:65536", "a:000080", "[::1", "[::1]80", "[1.2.3.4]", "::1", "a..b", ".a",
    "a.",
    "-a", "a-.b", "a b", "a/b", "user@a", "1.2.3", "1.2.3.256", "0x7f.1", "a.1", "127.0.0.01", "bücher.example",
  ]) func `what is no host is refused`(text: String) {
    #expect(throws: Authority.Mistake.self) { try Authority(text) }
  }

  @Test(arguments: ["127.0.0.1", "127.9.9.9", "[::1]:1", "localhost", "x.LOCALHOST:80"])
  func `these are this machine`(text: String) throws {
    #expect(try Authority(text).isLoopback)
  }

  @Test(arguments: ["128.0.0.1", "[::2]", "[::ffff:127.0.0.1]", "localhost.example.com", "notlocalhost", "0.0.0.0"])
  func `these are not`(text: String) throws {
    #expect(try !Authority(text).isLoopback)
  }
}

@Suite struct IPAddressTests {
  @Test(arguments: [
    ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("0:0:1::", "0:0:1::"),
    ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"), ("FE80::A", "fe80::a"),
    ("::1.2.3.4", "::102:304"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
  ]) func `an address has one spelling`(text: String, expected: String) {
    #expect(IPAddress(text)?.description == expected)
  }

  @Test(arguments: [
    "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4:5:6:7::8", "12345::", "g::", "::1%lo",
    "1.2.3.4::",
    "1.2.3.4:", ":1", "1:", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.-4", "1.2.3.", " 1.2.3.4", "1.2.3.4 ", "::1.2.3",
  ]) func `what is not an address is none`(text: String) {
    #expect(IPAddress(text) == nil)
  }
}
