// swift-tools-version: 6.2
import PackageDescription

/// Every target is built alike: Swift 6 mode, explicit about unsafety and existentials, and no warning is left standing.
let common: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]
let strict = common + [.strictMemorySafety()]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// Tests read vectors and may trap on purpose; they are not held to strict memory safety.
func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: [.init(stringLiteral: name), "Support"] + dependencies, exclude: exclude,
    swiftSettings: common)
}

let package = Package(
  name: "chatelaine",
  products: [.executable(name: "chatelaine", targets: ["chatelaine"])],
  targets: [
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),

    // Arrows go down only; .ci/layers holds this list against the imports.
    module("Bytes"),
    module("JSON", ["Bytes"]),
    module("HTTP", ["Bytes"]),
    module("Crypto", ["Bytes", "COpenSSL"]),
    module("Connector", ["Bytes", "JSON", "Crypto"]),
    module("Config", ["Bytes", "JSON", "Connector"]),
    module("Broker", ["Bytes", "JSON", "HTTP", "Crypto", "Connector", "Config"]),
    module("Vault", ["Bytes", "Crypto", "CSQLite", "CLinux"]),
    module("Net", ["Bytes", "CLinux", "COpenSSL"]),
    module(
      "Daemon",
      ["Bytes", "JSON", "HTTP", "Crypto", "Connector", "Config", "Broker", "Vault", "Net", "CLinux"]),
    .executableTarget(name: "chatelaine", dependencies: ["Daemon"], swiftSettings: strict),

    // What the tests of several modules share.
    .target(name: "Support", path: "Tests/Support", swiftSettings: common),
    tests("Bytes"),
    tests("JSON", ["Bytes"]),
    tests("HTTP", ["Bytes"]),
    tests("Crypto", ["Bytes", "JSON"]),
    tests("Connector", ["Bytes", "Crypto", "JSON"]),
    tests("Config", ["Bytes", "JSON", "Connector"], exclude: ["Golden"]),
    tests("Broker", ["Bytes", "JSON", "HTTP", "Connector", "Config", "Crypto"]),
    tests("Vault", ["Bytes", "Crypto"]),
    tests("Net", ["Bytes", "COpenSSL"]),
    tests("Daemon", ["Bytes", "JSON", "HTTP", "Crypto", "Connector", "Config", "Broker", "Vault", "Net"]),
  ]
)
