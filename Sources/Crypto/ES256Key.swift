public import Bytes
internal import COpenSSL

/// A private key for ES256: ECDSA on P-256 with SHA-256 (RFC 7518 §3.4). It never prints.
///
/// The key is OpenSSL's, in its secure heap, wiped with the last reference. Threads may sign with one key at once.
@safe public final class ES256Key: Sendable {
  /// Bytes of a signature, `r ‖ s`.
  public static let signatureCount = 64

  public let publicKey: ES256PublicKey
  /// Never changed once it is made; OpenSSL reads it on any thread.
  nonisolated(unsafe) let key: OpaquePointer

  /// - Parameter key: a whole P-256 key, owned from here on.
  init(owning key: OpaquePointer) {
    // Whoever made or read the key saw to that.
    guard let publicKey = unsafe ES256PublicKey(of: key) else { fatalError("a P-256 key has no public part") }
    self.publicKey = publicKey
    unsafe self.key = unsafe key
  }

  deinit {
    unsafe EVP_PKEY_free(key)
  }

  /// A new random key.
  public static func generate() -> ES256Key {
    _ = SecureHeap.ready
    return unsafe ES256Key(owning: mustExist(chatelaine_p256_generate(), "no P-256 key can be made"))
  }

  /// Appends the `signatureCount` bytes of `r ‖ s`, each padded on the left to 32: not DER. What is appended has been
  /// verified with the public key, so a fault of the machine costs an error and not the private key.
  /// - Throws: `ES256Error.signature`, with nothing appended.
  public func sign(_ message: Span<UInt8>, into buffer: inout Buffer) throws(ES256Error) {
    let signer = ES256Signer(self)
    signer.update(message)
    try signer.finish(into: &buffer)
  }
}

/// Why there is no key or no signature.
public enum ES256Error: Error, Equatable, CaseIterable {
  /// No PEM of a private key in PKCS #8 or SEC 1 form, or one that cannot be read.
  case format
  /// A private key under a passphrase.
  case encrypted
  /// A public key or a certificate: nothing there can sign.
  case publicKey
  /// A private key of another kind than elliptic curve, such as RSA.
  case keyType
  /// Another curve than P-256, or a curve spelled out instead of named (RFC 5480 §2.1.1).
  case curve
  /// The private part is out of range, or the public part is not its own.
  case mismatch
  /// The signature that was made does not verify.
  case signature
}

extension ES256Error {
  /// Says what the key is or lacks, and nothing of what is in it.
  public var message: String {
    switch self {
    case .format: "it is no PEM of a private key (PKCS #8 or SEC 1)"
    case .encrypted: "it is encrypted under a passphrase"
    case .publicKey: "it is a public key or a certificate"
    case .keyType: "it is a key of another kind than elliptic curve"
    case .curve: "it is on another curve than P-256, or spells its curve out"
    case .mismatch: "its private and public parts do not belong together"
    case .signature: "the signature that was made does not verify"
    }
  }
}

extension ES256Key: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "•••" }
  public var debugDescription: String { "•••" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
