internal import Bytes
internal import COpenSSL

extension ES256Key {
  /// Bytes of the longest text that is looked at; a key takes about 240.
  static let longestPEM = 65_536

  /// The key of a PEM text, `PRIVATE KEY` (PKCS #8, RFC 5958) or `EC PRIVATE KEY` (SEC 1, RFC 5915). Curve parameters in
  /// front of it, which `openssl ecparam` writes, are passed over; the first block behind them decides.
  /// - Throws: `ES256Error`, of every kind but `.signature`.
  public convenience init(pem: Span<UInt8>) throws(ES256Error) {
    _ = SecureHeap.ready
    ERR_set_mark()
    defer { ERR_pop_to_mark() }
    guard pem.count <= ES256Key.longestPEM else { throw .format }
    let key = try unsafe PEMBlock.firstKey(pem).privateKey()
    if let error = unsafe ES256Key.objection(to: key) {
      unsafe EVP_PKEY_free(key)
      throw error
    }
    unsafe self.init(owning: key)
  }

  /// What keeps a private key from being one for ES256.
  private static func objection(to key: OpaquePointer) -> ES256Error? {
    guard unsafe EVP_PKEY_is_a(key, "EC") == 1 else { return .keyType }
    var group = [CChar](repeating: 0, count: 64)
    guard unsafe EVP_PKEY_get_group_name(key, &group, group.count, nil) == 1,
      unsafe OBJ_sn2nid(group) == NID_X9_62_prime256v1
    else { return .curve }
    var explicit: Int32 = 0
    guard unsafe EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit) == 1,
      explicit == 0
    else { return .curve }
    let context = unsafe mustExist(EVP_PKEY_CTX_new_from_pkey(nil, key, nil))
    defer { unsafe EVP_PKEY_CTX_free(context) }
    return unsafe EVP_PKEY_check(context) == 1 ? nil : .mismatch
  }

  /// The key as PKCS #8, unencrypted, for the store. The public part is written as it was read: a key that came without
  /// one, or with a compressed one, goes so.
  public func pem() -> Secret {
    let sink = unsafe mustExist(BIO_new(BIO_s_secmem()))
    defer { unsafe BIO_free(sink) }
    mustSucceed(
      unsafe PEM_write_bio_PKCS8PrivateKey(sink, key, nil, nil, 0, nil, nil) == 1, "a P-256 key cannot be written")
    return unsafe Secret(count: BIO_ctrl_pending(sink)) { room in
      mustSucceed(
        unsafe BIO_read(sink, room.baseAddress, Int32(room.count)) == room.count, "a P-256 key cannot be written")
    }
  }
}

/// One block of a PEM text, decoded into the secure heap and wiped with it.
@safe private struct PEMBlock: ~Copyable {
  private let label, header: UnsafeMutablePointer<CChar>
  private let data: UnsafeMutablePointer<UInt8>
  private let count: Int

  /// The first block that is not curve parameters.
  static func firstKey(_ text: Span<UInt8>) throws(ES256Error) -> PEMBlock {
    try unsafe text.withUnsafeBytes { text throws(ES256Error) in
      guard let source = unsafe BIO_new_mem_buf(text.baseAddress, Int32(text.count)) else { throw .format }
      defer { unsafe BIO_free(source) }
      while true {
        let block = try unsafe PEMBlock(next: source)
        if unsafe String(cString: block.label) != "EC PARAMETERS" { return block }
      }
    }
  }

  /// - Throws: `ES256Error.format` if no block is left.
  private init(next source: OpaquePointer) throws(ES256Error) {
    var label, header: UnsafeMutablePointer<CChar>?
    var data: UnsafeMutablePointer<UInt8>?
    var count = 0
    let flags = UInt32(PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE)
    guard unsafe PEM_read_bio_ex(source, &label, &header, &data, &count, flags) == 1, let label = unsafe label,
      let header = unsafe header, let data = unsafe data
    else { throw .format }
    unsafe self.label = unsafe label
    unsafe self.header = unsafe header
    unsafe self.data = unsafe data
    self.count = count
  }

  deinit {
    unsafe CRYPTO_secure_free(label, nil, 0)
    unsafe CRYPTO_secure_free(header, nil, 0)
    unsafe CRYPTO_secure_clear_free(data, count, nil, 0)
  }

  /// The private key in it, of any kind that OpenSSL knows, owned by the caller.
  func privateKey() throws(ES256Error) -> OpaquePointer {
    switch unsafe String(cString: label) {
    case "PRIVATE KEY", "EC PRIVATE KEY": break
    case "ENCRYPTED PRIVATE KEY": throw .encrypted
    case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE": throw .publicKey
    case "RSA PRIVATE KEY", "DSA PRIVATE KEY": throw .keyType
    default: throw .format
    }
    // Header lines inside a block are there for encryption only (RFC 1421 §4.6.1.1).
    guard unsafe header.pointee == 0 else { throw .encrypted }
    var start: UnsafePointer<UInt8>? = unsafe UnsafePointer(data)
    guard let key = unsafe d2i_AutoPrivateKey(nil, &start, count) else { throw .format }
    guard unsafe start == UnsafePointer(data + count) else {
      unsafe EVP_PKEY_free(key)
      throw .format
    }
    return unsafe key
  }
}
