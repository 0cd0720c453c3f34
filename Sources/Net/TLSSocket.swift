import CLinux
import COpenSSL
import Glibc

/// What OpenSSL reads and writes through: a socket, by the calls that everything here uses.
///
/// OpenSSL's own goes through `read` and `write`, which cost more in the kernel, and of which the latter raises SIGPIPE.
@safe enum TLSSocket {
  /// A BIO over a connected, non-blocking socket, which it does not close; nil when there is no memory for one.
  static func bio(over descriptor: Int32) -> OpaquePointer? {
    guard let method = unsafe method, let bio = unsafe BIO_new(method) else { return nil }
    unsafe BIO_set_data(bio, UnsafeMutableRawPointer(bitPattern: Int(descriptor) + 1))
    unsafe BIO_set_init(bio, 1)
    return unsafe bio
  }

  /// The socket of a BIO. It is kept as an address, of which 0 would be none.
  @unsafe private static func descriptor(of bio: OpaquePointer?) -> Int32 {
    unsafe Int32(truncatingIfNeeded: Int(bitPattern: BIO_get_data(bio)) - 1)
  }

  /// Made once a process; OpenSSL never changes it.
  private nonisolated(unsafe) static let method: OpaquePointer? = {
    guard let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket") else { return nil }
    unsafe BIO_meth_set_read_ex(method) { bio, room, limit, count in
      unsafe BIO_clear_flags(bio, retryFlags | BIO_FLAGS_IN_EOF)
      unsafe count?.pointee = 0
      guard let room = unsafe room else { return 0 }
      let result = try? systemCall("recv") { unsafe chatelaine_recv(TLSSocket.descriptor(of: bio), room, limit) }
      switch result {
      case .done(let received) where received > 0:
        unsafe count?.pointee = received
        return 1
      case .done: unsafe BIO_set_flags(bio, BIO_FLAGS_IN_EOF)
      case .wouldBlock: unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
      // Neither: SSL_ERROR_SYSCALL.
      case nil: break
      }
      return 0
    }
    unsafe BIO_meth_set_write_ex(method) { bio, bytes, limit, count in
      unsafe BIO_clear_flags(bio, retryFlags)
      unsafe count?.pointee = 0
      guard let bytes = unsafe bytes else { return 0 }
      let result = try? systemCall("send") { unsafe chatelaine_send(TLSSocket.descriptor(of: bio), bytes, limit) }
      switch result {
      case .done(let sent):
        unsafe count?.pointee = sent
        return 1
      case .wouldBlock: unsafe BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
      case nil: break
      }
      return 0
    }
    unsafe BIO_meth_set_ctrl(method) { bio, command, _, _ in
      switch command {
      case BIO_CTRL_FLUSH: 1  // nothing is held back
      case BIO_CTRL_EOF: unsafe BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0
      default: 0
      }
    }
    return unsafe method
  }()
}

private let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY
