import Bytes
import Crypto
import Testing

struct DigestTests {
  /// FIPS 180-2 appendix B and C, RFC 1321 A.5: the message `abc`.
  static let abc: [(HashAlgorithm, String)] = [
    (.md5, "900150983cd24fb0d6963f7d28e17f72"),
    (.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      .sha384,
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
    ),
    (
      .sha512,
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
  ]

  @Test(arguments: abc) func `abc has its published digest, twice from one object`(
    _ algorithm: HashAlgorithm, _ expected: String
  ) {
    let digest = Digest(algorithm)
    var out = Buffer()
    digest.update([0x61].span)
    digest.update([0x62, 0x63].span)
    digest.finish(into: &out)
    #expect(hex(out.span) == expected)
    out.clear()
    digest.update([0x61, 0x62, 0x63].span)
    digest.finish(into: &out)
    #expect(hex(out.span) == expected)
    #expect(out.count == algorithm.digestCount)
  }

  @Test(arguments: abc) func `the empty message has its digest before, between and behind others`(
    _ algorithm: HashAlgorithm, _ expected: String
  ) {
    let empty = [
      HashAlgorithm.md5: "d41d8cd98f00b204e9800998ecf8427e", .sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
      .sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      .sha384: "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
      .sha512: "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        + "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    ][algorithm]
    let digest = Digest(algorithm)
    for message in ["", "", "abc", "", "abc"] {
      var out = Buffer()
      digest.update(Array(message.utf8).span)
      digest.finish(into: &out)
      #expect(hex(out.span) == (message.isEmpty ? empty : expected))
    }
    digest.update([0x61].span)
    digest.reset()
    var out = Buffer()
    digest.finish(into: &out)
    #expect(hex(out.span) == empty)
  }

  @Test func `reset forgets what was added`() {
    let digest = Digest(.sha256)
    var out = Buffer()
    digest.update([1, 2, 3].span)
    digest.reset()
    digest.finish(into: &out)
    #expect(hex(out.span) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }
}
