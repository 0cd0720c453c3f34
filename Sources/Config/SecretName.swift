import Bytes

/// Names of stored secrets: `codegate/api_key`.
enum SecretName {
  /// 1–128 bytes: letters, digits, `.`, `_`, `-`, in pieces between slashes, none of them empty.
  static func isValid(_ name: String) -> Bool {
    let allowed = ByteSet.letters.union(.digits).union(ByteSet("._-/"))
    return (1...128).contains(name.utf8.count) && name.utf8.allSatisfy { allowed.contains($0) }
      && !name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).contains { $0.isEmpty }
  }
}
