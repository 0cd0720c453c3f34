import CLinux
import COpenSSL
import Glibc

/// A certificate for this machine's own names, signed by itself, with its key: for the demo and the tests.
public struct SelfSignedCertificate: Sendable {
  /// PEM, both of them. The key is worth nothing: it lives as long as the process and vouches for `localhost`.
  public let certificate: String
  let key: String

  /// - Parameter hosts: what it vouches for, as in `DNS:localhost,IP:127.0.0.1`.
  public init(hosts: String = "DNS:localhost,IP:127.0.0.1,IP:::1") throws(TLSError) {
    guard let key = unsafe chatelaine_p256_generate(), let certificate = unsafe X509_new() else {
      throw .last("cannot make a key")
    }
    defer {
      unsafe EVP_PKEY_free(key)
      unsafe X509_free(certificate)
    }
    unsafe X509_set_version(certificate, 2)
    var serial: UInt64 = 0
    unsafe withUnsafeMutableBytes(of: &serial) { unsafe _ = RAND_bytes($0.baseAddress, 8) }
    unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1)
    unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), -3600)
    unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400)
    unsafe X509_set_pubkey(certificate, key)
    let name = unsafe X509_get_subject_name(certificate)
    unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, "chatelaine demo", -1, -1, 0)
    unsafe X509_set_issuer_name(certificate, name)
    for (kind, value) in [(NID_subject_alt_name, hosts), (NID_basic_constraints, "critical,CA:TRUE")] {
      guard let `extension` = unsafe X509V3_EXT_conf_nid(nil, nil, kind, value) else { throw .last("bad host") }
      unsafe X509_add_ext(certificate, `extension`, -1)
      unsafe X509_EXTENSION_free(`extension`)
    }
    guard unsafe X509_sign(certificate, key, EVP_sha256()) > 0 else { throw .last("cannot sign") }
    self.certificate = unsafe SelfSignedCertificate.text { unsafe PEM_write_bio_X509($0, certificate) }
    self.key = unsafe SelfSignedCertificate.text { unsafe PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
  }

  private static func text(_ write: (OpaquePointer?) -> Int32) -> String {
    guard let bio = unsafe BIO_new(BIO_s_mem()) else { return "" }
    defer { unsafe BIO_free(bio) }
    _ = unsafe write(bio)
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = unsafe BIO_read(bio, &bytes, Int32(bytes.count))
    return String(decoding: bytes.prefix(Int(max(count, 0))), as: UTF8.self)
  }
}

/// The server's side of TLS, blocking, one connection a thread: an upstream for the demo and the tests.
@safe public final class LoopbackServer: Sendable {
  /// Where it listens.
  public let port: UInt16
  private let listener: Int32
  /// Never changed once it listens; OpenSSL locks what connections share of it.
  nonisolated(unsafe) private let context: OpaquePointer?

  /// A connection as its thread sees it. Reads and writes block.
  @safe public struct Connection: ~Copyable {
    private let descriptor: Int32
    private let ssl: OpaquePointer?

    /// - Parameter descriptor: closed by `deinit`, which also runs when the handshake fails here.
    fileprivate init?(owning descriptor: Int32, _ context: OpaquePointer?) {
      self.descriptor = descriptor
      unsafe ssl = context.flatMap { unsafe SSL_new($0) }
      if let ssl = unsafe ssl {
        unsafe SSL_set_fd(ssl, descriptor)
        guard unsafe SSL_accept(ssl) == 1 else { return nil }
      }
    }

    deinit {
      if let ssl = unsafe ssl {
        unsafe SSL_shutdown(ssl)
        unsafe SSL_free(ssl)
      }
      close(descriptor)
    }

    /// At most 16 KiB, empty at the end.
    public func read() -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: 16 * 1024)
      let count: Int
      if let ssl = unsafe ssl {
        count = Int(unsafe SSL_read(ssl, &bytes, Int32(bytes.count)))
      } else {
        count = unsafe recv(descriptor, &bytes, bytes.count, 0)
      }
      return Array(bytes.prefix(max(count, 0)))
    }

    /// All of the bytes; nothing more once the peer is gone.
    public func write(_ bytes: [UInt8]) {
      var sent = 0
      while sent < bytes.count {
        let count: Int = unsafe bytes.withUnsafeBytes { raw in
          let rest = unsafe UnsafeRawBufferPointer(rebasing: raw[sent...])
          if let ssl = unsafe ssl { return Int(unsafe SSL_write(ssl, rest.baseAddress, Int32(rest.count))) }
          return unsafe send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        sent += count
      }
    }
  }

  /// Listens on 127.0.0.1 and serves every connection on a thread of its own.
  /// - Parameter certificate: nil for plain TCP.
  public init(
    certificate: SelfSignedCertificate?, serve: @escaping @Sendable (borrowing Connection) -> Void
  ) throws(LoopbackError) {
    do throws(TLSError) {
      unsafe context = try certificate.map { certificate throws(TLSError) in
        unsafe try LoopbackServer.context(certificate)
      }
    } catch {
      throw .tls(error)
    }
    do throws(SystemError) {
      guard let address = Address(literal: "127.0.0.1", port: 0) else { throw SystemError("bind", EINVAL) }
      let socket = try Listener(tcp: address)
      port = socket.address.port ?? 0
      // Kept open for the life of the process, blocking from here on.
      listener = dup(socket.number)
      _ = fcntl(listener, F_SETFL, 0)
      try Thread.start("loopback") { [self] in accept(serve) }
    } catch {
      throw .system(error)
    }
  }

  private func accept(_ serve: @escaping @Sendable (borrowing Connection) -> Void) {
    while true {
      let descriptor = Glibc.accept(listener, nil, nil)
      guard descriptor >= 0 else { continue }
      do throws(SystemError) {
        try Thread.start("connection") { [self] in
          if let connection = unsafe Connection(owning: descriptor, context) { serve(connection) }
        }
      } catch {
        close(descriptor)
      }
    }
  }

  @unsafe private static func context(_ certificate: SelfSignedCertificate) throws(TLSError) -> OpaquePointer {
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw .last("out of memory") }
    let (chain, key) = unsafe (bio(certificate.certificate), bio(certificate.key))
    defer {
      unsafe BIO_free(chain)
      unsafe BIO_free(key)
    }
    let (parsed, secret) = unsafe (PEM_read_bio_X509(chain, nil, nil, nil), PEM_read_bio_PrivateKey(key, nil, nil, nil))
    defer {
      unsafe X509_free(parsed)
      unsafe EVP_PKEY_free(secret)
    }
    guard unsafe SSL_CTX_use_certificate(context, parsed) == 1, unsafe SSL_CTX_use_PrivateKey(context, secret) == 1
    else {
      throw .last("cannot use the certificate")
    }
    return unsafe context
  }

  @unsafe private static func bio(_ text: String) -> OpaquePointer? {
    let bytes = Array(text.utf8)
    let bio = unsafe BIO_new(BIO_s_mem())
    unsafe BIO_write(bio, bytes, Int32(bytes.count))
    return unsafe bio
  }
}

/// Why there is no loopback server.
public enum LoopbackError: Error, CustomStringConvertible {
  case tls(TLSError)
  case system(SystemError)

  public var description: String {
    switch self {
    case .tls(let error): error.description
    case .system(let error): error.description
    }
  }
}
