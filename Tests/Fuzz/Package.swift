// swift-tools-version: 6.2
import PackageDescription

/// The fuzzers, in a package of their own: every module has to be built with coverage and AddressSanitizer.
/// `Modules` leads to the daemon's sources. `make fuzz` builds and runs it.
let common: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .unsafeFlags(["-sanitize=fuzzer,address"]),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, path: "Modules/\(name)", swiftSettings: common)
}

let package = Package(
  name: "fuzz",
  targets: [
    .systemLibrary(name: "COpenSSL", path: "Modules/COpenSSL", pkgConfig: "openssl"),
    .systemLibrary(name: "CFuzzer", path: "CFuzzer"),
    module("Bytes"),
    module("JSON", ["Bytes"]),
    module("HTTP", ["Bytes"]),
    module("Crypto", ["Bytes", "COpenSSL"]),
    module("Connector", ["Bytes", "JSON", "Crypto"]),
    module("Config", ["Bytes", "JSON", "Connector"]),
    module("Broker", ["Bytes", "JSON", "HTTP", "Crypto", "Connector", "Config"]),
    .executableTarget(
      name: "fuzz", dependencies: ["CFuzzer", "Bytes", "JSON", "HTTP", "Crypto", "Connector", "Config", "Broker"],
      path: "Fuzz", swiftSettings: common, linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
  ]
)
