public import JSON

/// The connectors that routes can name: those in the binary, and files that add to them or take their place.
public struct Catalog: Sendable {
  /// A file of a `connectors` directory.
  public struct File: Sendable {
    /// As it is to stand in messages.
    public var name: String
    public var bytes: [UInt8]

    public init(name: String, bytes: [UInt8]) {
      self.name = name
      self.bytes = bytes
    }
  }

  private var connectors: [String: Connector] = [:]
  /// What is wrong with the files, all of it.
  public private(set) var diagnostics: [Diagnostic] = []

  /// - Parameter files: of all directories, in the order in which their mistakes should be listed.
  public init(files: [File] = []) {
    for builtIn in BuiltIn.all {
      let text = builtIn.text.withUTF8Buffer { unsafe Array($0) }
      add(ConnectorReader(Source(file: "built-in/\(builtIn.name).jsonc", bytes: text)))
    }
    var origins: [String: String] = [:]
    for file in files {
      let name = add(ConnectorReader(Source(file: file.name, bytes: file.bytes)), unlessIn: origins)
      if let name, origins[name] == nil { origins[name] = file.name }
    }
  }

  /// - Returns: the name that the file gives its connector, be it right or wrong.
  @discardableResult
  private mutating func add(_ reader: ConnectorReader, unlessIn origins: [String: String] = [:]) -> String? {
    var reader = reader
    let connector = reader.read()
    diagnostics += Diagnostic.sorted(reader.diagnostics)
    guard let name = reader.name else { return nil }
    if let other = origins[name.text] {
      diagnostics.append(
        reader.source.diagnostic("the connector \"\(name.text)\" is in \(other) already", at: name.value))
    } else {
      // A wrong file does not leave the one it was to replace in its place.
      connectors[name.text] = connector
    }
    return name.text
  }

  public subscript(name: String) -> Connector? { connectors[name] }

  /// In alphabetical order.
  public var names: [String] { connectors.keys.sorted() }
}
