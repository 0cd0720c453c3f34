import COpenSSL
import Glibc

/// What a route says of its TLS.
public struct TLSSettings: Sendable, Hashable {
  /// A PEM file of the authorities to trust instead of the system's.
  public var authorities: String?
  /// A PEM file with our certificate and its chain.
  public var certificate: String?
  /// Whether the upstream's certificate and host name are checked.
  public var verifies = true

  public init() {}
}

/// Why TLS could not be set up or failed: a constant text of ours or OpenSSL's own.
public struct TLSError: Error, Equatable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }

  /// The newest entry of OpenSSL's queue, which is emptied.
  static func last(_ fallback: StaticString) -> TLSError {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0, let reason = unsafe ERR_reason_error_string(code) else { return TLSError("\(fallback)") }
    return TLSError(unsafe String(cString: reason))
  }
}

/// The client side of TLS for one set of settings: TLS 1.2 at least, AEAD suites, host names without partial wildcards.
///
/// One a loop: OpenSSL would lock a shared one. Sessions are kept by whoever dials (`TLSSession`), a route each.
@safe public final class TLSContext {
  let context: OpaquePointer
  let verifies: Bool

  /// - Parameter key: the PEM of the private key for `settings.certificate`, lent for the call.
  public init(_ settings: TLSSettings, key: Span<UInt8>? = nil) throws(TLSError) {
    guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw .last("out of memory") }
    unsafe self.context = context
    verifies = settings.verifies
    _ = unsafe chatelaine_ssl_ctx_set_min_proto_version(context, TLS1_2_VERSION)
    unsafe SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL")
    unsafe chatelaine_ssl_ctx_set_safe_options(context)
    _ = unsafe chatelaine_ssl_ctx_set_mode(
      context, Int(SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
    unsafe chatelaine_ssl_ctx_set_read_ahead(context, 1)
    unsafe SSL_CTX_set_default_read_buffer_len(context, 16 * 1024 + 512)
    let protocols: [UInt8] = [8] + Array("http/1.1".utf8)
    unsafe SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count))
    _ = unsafe chatelaine_ssl_ctx_set_session_cache_mode(
      context, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
    unsafe SSL_CTX_sess_set_new_cb(context) { ssl, session in
      guard let ssl = unsafe ssl, let keeper = unsafe SSL_get_ex_data(ssl, 0) else { return 0 }
      unsafe Unmanaged<TLSSession>.fromOpaque(keeper).takeUnretainedValue().keep(session)
      return 1
    }
    try trust(settings.authorities)
    if let certificate = settings.certificate { try identify(certificate, key) }
  }

  deinit { unsafe SSL_CTX_free(context) }

  private func trust(_ authorities: String?) throws(TLSError) {
    unsafe SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
    guard verifies else { return }
    if let authorities {
      guard unsafe SSL_CTX_load_verify_file(context, authorities) == 1 else {
        throw TLSError("\(authorities): \(TLSError.last("no certificates").description)")
      }
    } else {
      guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else { throw .last("no system certificates") }
    }
  }

  private func identify(_ certificate: String, _ key: Span<UInt8>?) throws(TLSError) {
    guard unsafe SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
      throw TLSError("\(certificate): \(TLSError.last("not a certificate").description)")
    }
    guard let key else { throw TLSError("client_certificate needs client_key") }
    let parsed = unsafe key.withUnsafeBytes { raw -> OpaquePointer? in
      guard let bio = unsafe BIO_new_mem_buf(raw.baseAddress, Int32(raw.count)) else { return nil }
      defer { unsafe BIO_free(bio) }
      return unsafe PEM_read_bio_PrivateKey(bio, nil, nil, nil)
    }
    guard let parsed = unsafe parsed else { throw TLSError("client_key is not a PEM private key") }
    defer { unsafe EVP_PKEY_free(parsed) }
    guard unsafe SSL_CTX_use_PrivateKey(context, parsed) == 1, unsafe SSL_CTX_check_private_key(context) == 1 else {
      ERR_clear_error()
      throw TLSError("client_key does not belong to \(certificate)")
    }
  }
}

/// The last session that an upstream gave, kept for the next connection to it.
@safe public final class TLSSession {
  private var session: OpaquePointer?

  public init() {}

  deinit { unsafe SSL_SESSION_free(session) }

  fileprivate func keep(_ new: OpaquePointer?) {
    unsafe SSL_SESSION_free(session)
    unsafe session = new
  }

  func offer(to ssl: OpaquePointer) {
    if let session = unsafe session { unsafe SSL_set_session(ssl, session) }
  }
}
