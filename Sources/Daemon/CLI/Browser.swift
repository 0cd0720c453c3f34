import Glibc

/// The user's browser, where there is one to open.
enum Browser {
  /// Hands an address to the desktop. False where there is no desktop, or it has no such program.
  static func open(_ url: String) -> Bool {
    guard unsafe getenv("DISPLAY") != nil || getenv("WAYLAND_DISPLAY") != nil else { return false }
    var process = pid_t()
    return unsafe "xdg-open".withCString { program in
      unsafe url.withCString { url in
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe [
          UnsafeMutablePointer(mutating: program), UnsafeMutablePointer(mutating: url), nil,
        ]
        return unsafe posix_spawnp(&process, program, nil, nil, &arguments, environ) == 0
      }
    }
  }
}
