internal import CLinux
internal import Glibc

/// The file that a store lies in, before SQLite is let near it.
enum StoreFile {
  /// The path without symbolic links in its directories: SQLite is told to follow none.
  /// - Throws: `.missing` if there is no such directory.
  static func resolve(_ path: String) throws(VaultError) -> String {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    guard !name.isEmpty, let resolved = unsafe realpath(directory, nil) else {
      throw errno == ENOENT ? VaultError(.missing, path) : SystemCall.failure(path)
    }
    defer { unsafe free(resolved) }
    let text = unsafe String(cString: resolved)
    return text == "/" ? "/" + name : text + "/" + name
  }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe lstat(path, &status) == 0
  }

  /// Refuses what another user could have written, or can read.
  static func checkOwnership(_ path: String) throws(VaultError) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else {
      guard errno == ENOENT else { throw SystemCall.failure(path) }
      throw VaultError(exists(path + "-wal") ? .leftoverLog : .missing, path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw VaultError(.storePermissions, path, "it is no regular file") }
    guard status.st_uid == geteuid() else {
      throw VaultError(.storePermissions, path, "it belongs to uid \(status.st_uid), this is uid \(geteuid())")
    }
    guard status.st_mode & 0o077 == 0 else {
      throw VaultError(.storePermissions, path, "its mode is 0\(String(status.st_mode & 0o777, radix: 8))")
    }
    try checkDirectory(of: path)
  }

  static func checkDirectory(of path: String) throws(VaultError) {
    var status = stat()
    let directory = directory(of: path)
    guard unsafe lstat(directory, &status) == 0 else {
      throw errno == ENOENT ? VaultError(.missing, path) : SystemCall.failure(path)
    }
    guard status.st_mode & 0o022 == 0 else {
      throw VaultError(.storePermissions, path, "others may write to its directory")
    }
  }

  static func directory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Refuses what is not a whole database of ours, reading its header only (sqlite.org/fileformat2.html §1.3).
  static func checkHeader(_ path: String) throws(VaultError) {
    let descriptor = try SystemCall.open(path, O_RDONLY)
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw SystemCall.failure(path) }
    let size = Int(status.st_size)
    let header = try SystemCall.read(descriptor, upTo: 100, of: path)

    let magic = Array("SQLite format 3\0".utf8)
    let start = header.prefix(magic.count)
    guard start.elementsEqual(magic.prefix(start.count)) else {
      throw VaultError(.foreign, path, "it is no SQLite database")
    }
    guard header.count == 100 else { throw VaultError(.truncated, path, "it has \(size) bytes") }
    func number(_ offset: Int) -> Int64 {
      header[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int64($1) }
    }
    guard number(68) == Schema.applicationID else {
      throw VaultError(.foreign, path, "it is another program's SQLite database")
    }
    let pageSize = Int(header[16]) << 8 | Int(header[17])
    let bytes = Int(number(28)) * (pageSize == 1 ? 65536 : pageSize)
    // A log that was not merged yet may hold the missing pages, or a larger size than the header knows.
    guard size >= bytes || exists(path + "-wal") else {
      throw VaultError(.truncated, path, "it has \(size) bytes of \(bytes)")
    }
  }

  /// A new private file that is not there yet under any name.
  static func createEmpty(_ path: String) throws(VaultError) {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw errno == EEXIST ? VaultError(.exists, path) : SystemCall.failure(path)
    }
    close(descriptor)
  }

  /// Removes a file that may be there.
  static func remove(_ path: String) {
    unsafe unlink(path)
  }

  /// Root makes files for the daemon's user.
  static func copyOwner(of path: String, to other: String) {
    var status = stat()
    guard geteuid() == 0, unsafe lstat(path, &status) == 0 else { return }
    _ = unsafe lchown(other, status.st_uid, status.st_gid)
  }

  /// Gives the finished file its name, durably, unless the name is taken.
  static func publish(_ temporary: String, as path: String) throws(VaultError) {
    guard unsafe link(temporary, path) == 0 else {
      throw errno == EEXIST ? VaultError(.exists, path) : SystemCall.failure(path)
    }
    unsafe unlink(temporary)
    try SystemCall.syncDirectory(directory(of: path))
  }
}

/// Says to other processes that a key file is being replaced. It is the file's directory that is locked: the file changes.
struct KeyLock: ~Copyable {
  private let descriptor: Int32

  /// - Throws: `.keyLocked`.
  init(key: String) throws(VaultError) {
    let directory = StoreFile.directory(of: key)
    let descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemCall.failure(directory) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw VaultError(.keyLocked, key)
    }
    self.descriptor = descriptor
  }

  deinit {
    _ = flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}

/// Says to other processes that the store is open. The kernel takes it back when the process ends, however it ends.
struct StoreLock: ~Copyable {
  private let descriptor: Int32

  /// - Throws: `.locked` with the pid of the process that has it.
  init(store: String) throws(VaultError) {
    let path = store + ".lock"
    let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC
    let descriptor = unsafe open(path, flags, 0o600)
    guard descriptor >= 0 else { throw SystemCall.failure(path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let holder = (try? SystemCall.read(descriptor, upTo: 16, of: path)).map { String(decoding: $0, as: UTF8.self) }
      close(descriptor)
      throw VaultError(.locked, store, holder.flatMap { $0.isEmpty ? nil : $0 })
    }
    self.descriptor = descriptor
    let pid = Array(String(getpid()).utf8)
    // For the other process's message only.
    _ =
      unsafe ftruncate(descriptor, 0) == 0
      && pid.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) } > 0
  }

  deinit {
    // A child that is on its way to exec has the descriptor too, and with it the lock.
    _ = flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
