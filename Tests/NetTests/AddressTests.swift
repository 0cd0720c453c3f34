import Testing

@testable import Net

@Test(arguments: [
  "169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255", "fe80::1", "febf::1",
  "ff02::1", "::", "::ffff:169.254.169.254",
])
func `addresses that no upstream has are known`(_ literal: String) throws {
  #expect(try #require(Address(literal: literal, port: 443)).isNeverAnUpstream)
}

@Test(arguments: ["127.0.0.1", "10.0.0.1", "192.168.1.1", "203.0.113.9", "::1", "2001:db8::1", "fec0::1"])
func `other addresses may be an upstream's`(_ literal: String) throws {
  #expect(try #require(Address(literal: literal, port: 443)).isNeverAnUpstream == false)
}

@Test func `loopback is 127-8 and colon-colon-1`() throws {
  for literal in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
    #expect(try #require(Address(literal: literal, port: 1)).isLoopback)
  }
  for literal in ["128.0.0.1", "10.0.0.1", "::2", "2001:db8::1"] {
    #expect(try #require(Address(literal: literal, port: 1)).isLoopback == false)
  }
}

@Test func `an address prints as it is written`() throws {
  #expect("\(try #require(Address(literal: "127.0.0.1", port: 7220)))" == "127.0.0.1:7220")
  #expect("\(try #require(Address(literal: "2001:db8::1", port: 443)))" == "[2001:db8::1]:443")
  #expect(Address(literal: "localhost", port: 1) == nil)
  #expect(Address(literal: "127.0.0.1 ", port: 1) == nil)
}

@Test func `the families take turns, in the system's order`() throws {
  func v4(_ n: UInt32) -> Address { .ipv4(n, port: 0) }
  func v6(_ n: UInt64) -> Address { .ipv6(0, n, scope: 0, port: 0) }
  #expect(Resolver.alternate([v6(1), v6(2), v4(1), v4(2), v4(3)]) == [v6(1), v4(1), v6(2), v4(2), v4(3)])
  #expect(Resolver.alternate([v4(1)]) == [v4(1)])
  #expect(Resolver.alternate([]) == [])
}
