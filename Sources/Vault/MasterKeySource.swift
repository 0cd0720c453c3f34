internal import Bytes
internal import Crypto
internal import Glibc

/// Where the master key comes from: `"store": {"key": …}` of the configuration.
public enum MasterKeySource: Sendable, Equatable {
  /// A file of the daemon's user, readable by nobody else.
  case file(String)
  /// A name in systemd's `$CREDENTIALS_DIRECTORY`.
  case credential(String)
  /// A private file, or a pipe, that holds a passphrase.
  case passphraseFile(String)

  /// - Parameter credentialsDirectory: the value of `CREDENTIALS_DIRECTORY`, if it is set.
  /// - Throws: `VaultError.keyMissing`, `.keyPermissions`, `.keyMalformed`, `.keyTruncated`, `.passphraseTooShort`, `.noCredentials`.
  public func load(credentialsDirectory: String?) throws(VaultError) -> MasterKey {
    switch self {
    case .file(let path):
      return try MasterKey(text: MasterKeySource.read(path, .ownFile), path: path)
    case .credential(let name):
      guard let directory = credentialsDirectory, !directory.isEmpty else { throw VaultError(.noCredentials, name) }
      let path = directory + "/" + name
      guard !name.utf8.contains(UInt8(ascii: "/")), name != ".." else { throw VaultError(.keyMissing, path) }
      return try MasterKey(text: MasterKeySource.read(path, .credential), path: path)
    case .passphraseFile(let path):
      let passphrase = try MasterKeySource.read(path, .ownFileOrPipe)
      guard passphrase.count >= MasterKey.shortestPassphrase else {
        throw VaultError(.passphraseTooShort, path, "it has fewer than \(MasterKey.shortestPassphrase) bytes")
      }
      return .passphrase(passphrase)
    }
  }

  /// A new key in a new file, mode 0400, durable when this returns.
  /// - Throws: `VaultError.keyExists`: a key is never overwritten. `.inputOutput`.
  public static func generateFile(_ path: String) throws(VaultError) {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o400)
    guard descriptor >= 0 else {
      throw errno == EEXIST ? VaultError(.keyExists, path) : SystemCall.failure(path)
    }
    defer { close(descriptor) }
    do throws(VaultError) {
      try writeNewKey(to: descriptor, named: path)
      guard fsync(descriptor) == 0 else { throw SystemCall.failure(path) }
      try SystemCall.syncDirectory(StoreFile.directory(of: path))
    } catch {
      unsafe unlink(path)
      throw error
    }
  }

  /// A new key, into a pipe.
  public static func writeNewKey(to descriptor: Int32, named name: String) throws(VaultError) {
    guard let text = MasterKey.generate().text else { return }
    try SystemCall.writeAll(text.span, to: descriptor, of: name)
  }

  /// What a file with a key in it must be.
  enum Rule {
    case ownFile, ownFileOrPipe
    /// systemd made it: it belongs to root or to us, and a group bit may stand for an access list.
    case credential
  }

  static func read(_ path: String, _ rule: Rule) throws(VaultError) -> Secret {
    // What is no file must not be waited for, except a pipe where one may be.
    let waiting = rule == .ownFileOrPipe ? 0 : O_NONBLOCK
    let descriptor = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | waiting)
    guard descriptor >= 0 else {
      switch errno {
      case ENOENT, ENOTDIR: throw VaultError(.keyMissing, path)
      case ELOOP: throw VaultError(.keyPermissions, path, "it is a symbolic link")
      case EACCES: throw VaultError(.keyPermissions, path, "this user may not read it")
      default: throw SystemCall.failure(path)
      }
    }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw SystemCall.failure(path) }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || (kind == S_IFIFO && rule == .ownFileOrPipe) else {
      throw VaultError(.keyPermissions, path, "it is no regular file")
    }
    guard status.st_uid == geteuid() || status.st_uid == 0 else {
      throw VaultError(.keyPermissions, path, "it belongs to uid \(status.st_uid), this is uid \(geteuid())")
    }
    guard status.st_mode & (rule == .credential ? 0o007 : 0o077) == 0 else {
      throw VaultError(.keyPermissions, path, "its mode is 0\(String(status.st_mode & 0o777, radix: 8))")
    }
    return try Secret.read(from: descriptor, named: path, limit: 1024)
  }
}
