import Config
import Connector
import CLinux
import Glibc
import JSON

/// A configuration file read and checked, with the connectors that it may name.
struct Setup: Sendable {
  /// Of the file.
  let path: String
  let configuration: Configuration
  let catalog: Catalog
  /// What is worth saying although nothing is wrong.
  let warnings: [Diagnostic]

  /// The route whose agent keeps what it is told under this name.
  func agentRoute(keeping name: String) -> String? {
    configuration.routes.first { route in
      catalog[route.connector]?.handshake != nil && Handshake.storedNames(route.name).contains(name)
    }?.name
  }

  /// Where a configuration is looked for when none is named, in this order.
  static func places(
    environment: (String) -> String? = ServiceManager.environment
  ) -> [String] {
    var places: [String] = []
    if let path = environment("CHATELAINE_CONFIG"), !path.isEmpty { return [path] }
    let home =
      environment("XDG_CONFIG_HOME").flatMap { $0.isEmpty ? nil : $0 } ?? environment("HOME").map { $0 + "/.config" }
    if let home { places.append(home + "/chatelaine/chatelaine.jsonc") }
    places.append("/etc/chatelaine/chatelaine.jsonc")
    return places
  }

  /// Reads the named file, or the first that exists of the usual places.
  static func load(_ named: String?) throws(SetupError) -> Setup {
    if let named { return try read(named) }
    let places = places()
    guard let path = places.first(where: { unsafe access($0, F_OK) == 0 }) else { throw .none(places) }
    return try read(path)
  }

  /// Reads and checks one file, with the connectors of the directories that it names.
  static func read(_ path: String) throws(SetupError) -> Setup {
    try checked(path, File.read(path, limit: 1 << 20))
  }

  /// Checks what a file says, or is going to say.
  static func checked(_ path: String, _ bytes: [UInt8]) throws(SetupError) -> Setup {
    var catalog = Catalog()
    var unreadable: SetupError?
    let (configuration, diagnostics) = Configuration.read(Source(file: path, bytes: bytes)) { directories in
      var files: [Catalog.File] = []
      for directory in directories {
        do throws(SetupError) {
          files += try connectorFiles(in: directory)
        } catch {
          unreadable = unreadable ?? error
        }
      }
      catalog = Catalog(files: files)
      return catalog
    }
    if let unreadable { throw unreadable }
    guard let configuration else { throw .invalid(diagnostics) }
    return Setup(path: path, configuration: configuration, catalog: catalog, warnings: diagnostics)
  }

  /// The `.jsonc` files of a directory, by name.
  private static func connectorFiles(in directory: String) throws(SetupError) -> [Catalog.File] {
    guard let stream = unsafe opendir(directory) else { throw .unreadable(directory, errno) }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
      }
      if name.hasSuffix(".jsonc"), !name.hasPrefix(".") { names.append(name) }
    }
    var files: [Catalog.File] = []
    for name in names.sorted() {
      let path = directory + "/" + name
      files.append(Catalog.File(name: path, bytes: try File.read(path, limit: 1 << 20)))
    }
    return files
  }
}

/// Why there is no configuration.
enum SetupError: Error {
  /// Where it was looked for.
  case none([String])
  case unreadable(String, Int32)
  case tooLarge(String, Int)
  /// Its owner or mode would let others decide what credentials are sent where.
  case unsafeMode(String)
  case invalid([Diagnostic])

  var message: String {
    switch self {
    case .none(let places):
      "there is no configuration: looked for \(places.joined(separator: " and "))"
    case .unreadable(let path, let code): "\(path): \(unsafe String(cString: strerror(code)))"
    case .tooLarge(let path, let limit): "\(path): larger than \(limit) bytes"
    case .unsafeMode(let path):
      "\(path): others may write to it; it must belong to root or to the daemon's user and be writable by its owner alone"
    case .invalid(let diagnostics): diagnostics.map(\.rendered).joined(separator: "\n")
    }
  }

  /// The next step, where there is one to name.
  var hint: String? {
    switch self {
    case .none: "chatelaine init"
    case .unsafeMode(let path): "chmod go-w \(path)"
    case .unreadable, .tooLarge, .invalid: nil
    }
  }

  /// From sysexits.
  var exitStatus: Int32 {
    switch self {
    case .none, .invalid, .tooLarge: 78
    case .unreadable(_, let code): code == EACCES || code == EPERM ? 77 : code == ENOENT ? 78 : 74
    case .unsafeMode: 77
    }
  }
}

/// Files that decide something.
enum File {
  /// Reads what the kernel shows in a file; nil when it shows nothing.
  static func readSystem(_ path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }

  /// Reads a regular file whose content others cannot have written (SECURITY.md T10).
  static func read(_ path: String, limit: Int) throws(SetupError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { throw .unreadable(path, errno) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .unreadable(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .unreadable(path, status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
    }
    guard status.st_mode & 0o022 == 0, status.st_uid == 0 || status.st_uid == geteuid() else { throw .unsafeMode(path) }
    var bytes: [UInt8] = []
    while bytes.count <= limit {
      var chunk = [UInt8](repeating: 0, count: 64 * 1024)
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw .unreadable(path, errno)
      }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
    throw .tooLarge(path, limit)
  }
}
