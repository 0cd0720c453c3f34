import Crypto
import Glibc
import Vault

/// Where a secret's value comes from: a terminal without echo, a pipe, or a file. It goes from the descriptor into the
/// secret heap, and nowhere else.
enum SecretSource {
  /// - Parameters:
  ///   - file: of `--from-file`, if it was given.
  ///   - name: of the secret, for the prompt and for errors.
  static func read(file: String?, name: String, _ console: Console) throws(CommandError) -> Secret {
    if let file { return try read(file: file, name) }
    guard isatty(0) == 1 else { return try read(from: 0, name) }
    let prompt = "Value for \(name) (not shown; Enter ends it, Ctrl-C gives up): "
    let value = try Terminal.readLine { console.tell(prompt, endsLine: false) }
    console.tell("\n\(value.count) bytes")
    return value
  }

  private static func read(file: String, _ name: String) throws(CommandError) -> Secret {
    let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else {
      let status = errno == EACCES ? CommandError.Status.permission : CommandError.Status.inputOutput
      throw CommandError(status, "\(file): \(reason())")
    }
    defer { close(descriptor) }
    return try read(from: descriptor, name)
  }

  private static func read(from descriptor: Int32, _ name: String) throws(CommandError) -> Secret {
    do throws(VaultError) {
      return try Secret.read(from: descriptor, named: name)
    } catch {
      throw CommandError(error)
    }
  }
}

/// The terminal on stdin, with echo off while a secret is typed.
private enum Terminal {
  private static let gaveUp = CommandError(CommandError.Status.data, "given up", hint: "nothing was stored")

  /// Reads up to Enter. The terminal's own line editing is off, since it ends lines at 4095 bytes; signals are too, so
  /// that nothing can end the process while the echo is off.
  /// - Parameter prompt: called when the echo is off.
  static func readLine(prompt: () -> Void) throws(CommandError) -> Secret {
    var before = termios()
    guard unsafe tcgetattr(0, &before) == 0 else {
      throw CommandError(CommandError.Status.inputOutput, "the terminal cannot be read: \(reason())")
    }
    var quiet = before
    quiet.c_lflag &= ~tcflag_t(ECHO | ECHONL | ICANON | ISIG)
    unsafe tcsetattr(0, TCSAFLUSH, &quiet)
    // What was pasted behind the first line must not become the shell's next command.
    defer { unsafe tcsetattr(0, TCSAFLUSH, &before) }
    prompt()
    var count = 0
    let room = try unsafe Secret(count: Secret.limit) { room throws(CommandError) in
      count = try unsafe fill(room)
    }
    return Secret(copying: room.span.extracting(first: count))
  }

  private static func fill(_ room: UnsafeMutableRawBufferPointer) throws(CommandError) -> Int {
    var count = 0
    var byte: UInt8 = 0
    while true {
      let got = unsafe Glibc.read(0, &byte, 1)
      if got < 0, errno == EINTR { continue }
      guard got == 1 else { throw gaveUp }
      switch byte {
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"): return count
      case 3, 4, 26, 28: throw gaveUp  // Ctrl-C, Ctrl-D, Ctrl-Z, Ctrl-\
      case 8, 127: count = max(count - 1, 0)
      case 21: count = 0  // Ctrl-U
      default:
        guard count < room.count else {
          throw CommandError(CommandError.Status.data, "more than \(room.count) bytes", hint: "use --from-file")
        }
        unsafe room[count] = byte
        count += 1
      }
    }
  }
}
