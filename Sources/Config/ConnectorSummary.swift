public import JSON

/// What the configuration has to know of a connector to check a route that uses it.
public struct ConnectorSummary: Sendable {
  public struct Option: Sendable {
    public var name: String
    public var isRequired: Bool

    public init(_ name: String, isRequired: Bool = false) {
      self.name = name
      self.isRequired = isRequired
    }
  }

  /// What a connector makes of a route's options.
  public enum Effect: Sendable {
    /// Names of the headers that it sets.
    case sets(headers: [String])
    /// An option's value cannot be used; the reason ends a sentence that begins with the option.
    case refuses(option: String, reason: String)
  }

  public var name: String
  /// Parameters whose values are stored secrets.
  public var secrets: [String]
  /// Parameters whose values stand in the configuration.
  public var options: [Option]
  /// Asked only with options that are all known and, where required, there.
  public var effect: @Sendable (_ options: [String: String]) -> Effect

  public init(
    _ name: String, secrets: [String] = [], options: [Option] = [],
    effect: @escaping @Sendable (_ options: [String: String]) -> Effect = { _ in .sets(headers: []) }
  ) {
    self.name = name
    self.secrets = secrets
    self.options = options
    self.effect = effect
  }
}

/// The connectors there are, built in and in the directories that the configuration names.
public struct ConnectorListing: Sendable {
  public var connectors: [ConnectorSummary]
  /// What is wrong with connector files; they are reported with the configuration's own.
  public var diagnostics: [Diagnostic]

  public init(_ connectors: [ConnectorSummary], diagnostics: [Diagnostic] = []) {
    self.connectors = connectors
    self.diagnostics = diagnostics
  }
}
