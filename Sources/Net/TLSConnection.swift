import Bytes
import COpenSSL
import Glibc

/// TLS over one socket, as a client.
@safe final class TLSConnection {
  private let ssl: OpaquePointer
  private let session: TLSSession
  /// After a fatal error OpenSSL must not be asked to say goodbye.
  private var isBroken = false
  /// Why reading failed, where TLS itself says so: an alert, a record that does not open.
  private(set) var readFailure: TLSError?

  enum Progress: Equatable {
    case done
    case wouldBlock
    case failed(TLSError)
  }

  /// - Parameter host: the route's host, a name or an address literal: it is both SNI and what the certificate must name.
  init(_ context: TLSContext, descriptor: Int32, host: String, session: TLSSession) throws(TLSError) {
    guard let ssl = unsafe SSL_new(context.context) else { throw .last("out of memory") }
    unsafe self.ssl = ssl
    self.session = session
    unsafe SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(session).toOpaque())
    guard let socket = unsafe TLSSocket.bio(over: descriptor) else { throw .last("out of memory") }
    unsafe SSL_set_bio(ssl, socket, socket)
    if Address(literal: host, port: 0) != nil {
      guard unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 else {
        throw TLSError("not an address that a certificate can name")
      }
    } else {
      unsafe SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
      guard unsafe SSL_set1_host(ssl, host) == 1, unsafe chatelaine_ssl_set_tlsext_host_name(ssl, host) == 1 else {
        throw TLSError("not a host name")
      }
    }
    unsafe session.offer(to: ssl)
    unsafe SSL_set_connect_state(ssl)
  }

  deinit { unsafe SSL_free(ssl) }

  /// Goes on with the handshake.
  func handshake() -> Progress {
    ERR_clear_error()
    let result = unsafe SSL_do_handshake(ssl)
    if result == 1 { return .done }
    switch unsafe SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wouldBlock
    default: return .failed(failure())
    }
  }

  func read(into buffer: inout Buffer, upTo limit: Int, mayHaveMore: inout Bool) -> ReadOutcome {
    var outcome = ReadOutcome.wouldBlock
    unsafe buffer.write(upTo: limit) { room in
      TLSConnection.forgetErrors()
      var count = 0
      let result = unsafe SSL_read_ex(ssl, room.baseAddress, room.count, &count)
      if result == 1 {
        outcome = .bytes(count)
        return count
      }
      switch unsafe SSL_get_error(ssl, result) {
      case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: mayHaveMore = false
      case SSL_ERROR_ZERO_RETURN: outcome = .end(clean: true)
      case SSL_ERROR_SSL where chatelaine_err_get_reason(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING:
        isBroken = true
        outcome = .end(clean: false)
      case SSL_ERROR_SSL:
        isBroken = true
        readFailure = .last("protocol error")
        outcome = .failed
      default:
        isBroken = true
        outcome = .failed
      }
      return 0
    }
    return outcome
  }

  func write(_ bytes: Span<UInt8>) -> WriteOutcome {
    unsafe bytes.withUnsafeBytes { raw in
      TLSConnection.forgetErrors()
      var total = 0
      // OpenSSL takes a record's worth a call: less than all of it has to mean that the kernel takes no more.
      while total < raw.count {
        var count = 0
        let result = unsafe SSL_write_ex(ssl, raw.baseAddress.map { unsafe $0 + total }, raw.count - total, &count)
        if result == 1 {
          total += count
          continue
        }
        switch unsafe SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return total > 0 ? .bytes(total) : .wouldBlock
        default:
          isBroken = true
          return .failed
        }
      }
      return .bytes(total)
    }
  }

  /// Bytes that came are still to be opened or read: OpenSSL reads ahead.
  var holdsBytes: Bool { unsafe SSL_has_pending(ssl) == 1 }

  /// Sends close_notify, once, without waiting for the peer's.
  func shutdown() {
    guard !isBroken else { return }
    ERR_clear_error()
    unsafe SSL_shutdown(ssl)
    ERR_clear_error()
  }

  /// Whether the handshake resumed an earlier session.
  var isResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }

  /// What another call left in the thread's queue must not be taken for this connection's. Looking costs a tenth of clearing.
  private static func forgetErrors() {
    if ERR_peek_error() != 0 { ERR_clear_error() }
  }

  private func failure() -> TLSError {
    isBroken = true
    let verdict = unsafe SSL_get_verify_result(ssl)
    if verdict != Int(X509_V_OK), let text = unsafe X509_verify_cert_error_string(verdict) {
      ERR_clear_error()
      return TLSError("certificate verify failed: " + (unsafe String(cString: text)))
    }
    return .last("connection closed during the handshake")
  }
}
