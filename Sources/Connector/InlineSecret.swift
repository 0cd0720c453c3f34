import Bytes
import JSON

/// Tells a credential by its looks or by the name it has. Wrong guesses are harmless on one side only: a value that
/// looks like a secret can be stored as one, while a secret in a file has been given away.
public enum InlineSecret {
  private static let words: Set<String> = [
    "apikey", "authorization", "bearer", "cookie", "credential", "credentials", "passphrase", "passwd", "password",
    "pwd", "secret", "token",
  ]
  /// Last words of names that say something about a secret and are none: `token_url`, `passphrase_file`.
  private static let abouts: Set<String> = [
    "endpoint", "expiry", "file", "format", "id", "lifetime", "mode", "name", "path", "ttl", "type", "uri", "url",
    "version",
  ]
  /// Pairs of words of a name that mean a secret together.
  private static let pairs: Set<String> = [
    "api key", "access key", "private key", "client key", "secret key", "auth key", "signing key",
  ]
  private static let prefixes = [
    "sk-", "sk_", "pk_live_", "rk_live_", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xapp-",
    "AKIA", "ASIA", "AIza", "ya29.", "eyJ", "npm_", "pypi-", "hf_", "SG.", "-----BEGIN", "Bearer ", "Basic ",
    "AGE-SECRET-KEY-",
  ]

  /// `X-API-Key`, `clientSecret`, `access_token`: by their words, so that `tokenizer` and `keyboard` are none.
  public static func isSecretName(_ name: String) -> Bool {
    let parts = wordsOf(name)
    if let last = parts.last, abouts.contains(last) { return false }
    if parts.contains(where: { words.contains($0) }) { return true }
    return zip(parts, parts.dropFirst()).contains { pairs.contains("\($0) \($1)") }
  }

  private static let longWords = words.filter { $0.utf8.count >= 5 }

  /// `tokn`, `passwrod`.
  public static func isMisspeltSecretName(_ name: String) -> Bool {
    let parts = wordsOf(name)
    if let last = parts.last, abouts.contains(last) { return false }
    return parts.contains { $0.utf8.count >= 4 && closest(to: $0, among: longWords) != nil }
  }

  private static func wordsOf(_ name: String) -> [String] {
    var parts: [String] = []
    var current: [UInt8] = []
    var wasLower = false
    for byte in name.utf8 {
      let isLetter = ByteSet.letters.contains(byte) || byte.isASCIIDigit
      let isUpper = byte &- 0x41 < 26
      if !isLetter || (isUpper && wasLower) {
        parts.append(String(decoding: current, as: UTF8.self))
        current = []
      }
      if isLetter { current.append(byte.asciiLowercased) }
      wasLower = isLetter && !isUpper
    }
    parts.append(String(decoding: current, as: UTF8.self))
    return parts.filter { !$0.isEmpty }
  }

  private static let separators = ByteSet(" /:;,&?=@\"'()<>[]{}|\\\t")

  /// Known prefixes of credentials, 32 and more hexadecimal digits, and long words of mixed characters.
  public static func looksLikeSecret(_ text: String) -> Bool {
    if prefixes.contains(where: { text.hasPrefix($0) && text.utf8.count >= $0.utf8.count + 8 }) { return true }
    // A secret may be part of a longer text: `key=…`, `https://host/…`.
    let pieces = text.utf8.split { separators.contains($0) }
    return pieces.contains { isRandom(Array($0)) } || isRandom(Array(text.utf8))
  }

  private static let alphabet = ByteSet.letters.union(.digits).union(ByteSet("+/_-.~="))

  private static func isRandom(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= 20, !isUUID(bytes) else { return false }
    let isHex = bytes.allSatisfy { hexValue($0) != nil }
    if isHex { return bytes.count >= 32 && Set(bytes).count > 4 }
    guard bytes.allSatisfy({ alphabet.contains($0) }) else { return false }
    // Names are words with separators between them: random text changes between its kinds of characters all the time.
    let kinds = bytes.map { $0.isASCIIDigit ? 0 : $0 &- 0x41 < 26 ? 1 : $0 &- 0x61 < 26 ? 2 : 3 }
    let changes = zip(kinds, kinds.dropFirst()).count { $0 != $1 && $0 != 3 && $1 != 3 }
    return Set(kinds).subtracting([3]).count >= 2 && changes * 4 >= bytes.count
  }

  /// 8-4-4-4-12 hexadecimal digits: an identifier, as tenants have.
  private static func isUUID(_ bytes: [UInt8]) -> Bool {
    bytes.count == 36
      && bytes.indices.allSatisfy { [8, 13, 18, 23].contains($0) ? bytes[$0] == 0x2D : hexValue(bytes[$0]) != nil }
  }
}
