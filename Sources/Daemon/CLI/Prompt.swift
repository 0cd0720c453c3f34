import CLinux
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

  /// What would end or stop the process while the echo is off.
  private static let signals = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP]

  /// Reads up to Enter. The terminal's own line editing is off, since it ends lines at 4095 bytes; so are its signals.
  /// Signals from elsewhere take effect when the terminal is as it was.
  /// - Parameter prompt: called when the echo is off.
  static func readLine(prompt: () -> Void) throws(CommandError) -> Secret {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    let arrived = unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC))
    guard arrived >= 0 else { throw unusable() }
    defer { close(arrived) }
    var mask = sigset_t()
    unsafe pthread_sigmask(SIG_BLOCK, &set, &mask)
    // What is pending ends the process here, behind the terminal's own defer.
    defer { unsafe pthread_sigmask(SIG_SETMASK, &mask, nil) }

    var before = termios()
    guard unsafe tcgetattr(0, &before) == 0 else { throw unusable() }
    var quiet = before
    quiet.c_lflag &= ~tcflag_t(ECHO | ECHONL | ICANON | ISIG)
    unsafe tcsetattr(0, TCSAFLUSH, &quiet)
    // What was pasted behind the first line must not become the shell's next command.
    defer { unsafe tcsetattr(0, TCSAFLUSH, &before) }
    // It counts as set when any part of it could be.
    var now = termios()
    guard unsafe tcgetattr(0, &now) == 0, now.c_lflag == quiet.c_lflag else { throw unusable() }
    prompt()
    var count = 0
    let room = try unsafe Secret(count: Secret.limit) { room throws(CommandError) in
      count = try unsafe fill(room, signals: arrived)
    }
    return Secret(copying: room.span.extracting(first: count))
  }

  private static func unusable() -> CommandError {
    CommandError(
      CommandError.Status.inputOutput, "the terminal cannot be told to show nothing: \(reason())",
      hint: "use a pipe or --from-file")
  }

  private static func fill(
    _ room: UnsafeMutableRawBufferPointer, signals: Int32
  ) throws(CommandError) -> Int {
    var count = 0
    var byte: UInt8 = 0
    while true {
      // The signal stays pending: it is not read, but raised again when the mask is lifted.
      guard isReadable(0, before: signals) else { throw gaveUp }
      let got = unsafe Glibc.read(0, &byte, 1)
      if got < 0, errno == EINTR { continue }
      guard got == 1 else { throw gaveUp }
      switch byte {
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
        guard !hasMore() else {
          throw CommandError(
            CommandError.Status.data, "more lines follow the first",
            hint: "nothing was stored; what has several lines goes through a pipe or --from-file")
        }
        return count
      case 3, 4, 26, 28: throw gaveUp  // Ctrl-C, Ctrl-D, Ctrl-Z, Ctrl-\
      case 8, 127:
        // A whole character of UTF-8.
        while count > 0 {
          count -= 1
          if unsafe room[count] & 0xC0 != 0x80 { break }
        }
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

  /// Waits; false when a signal has arrived first.
  private static func isReadable(_ input: Int32, before signals: Int32) -> Bool {
    var waits = [
      pollfd(fd: input, events: Int16(POLLIN), revents: 0), pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
    ]
    while unsafe poll(&waits, 2, -1) < 0 { guard errno == EINTR else { return false } }
    return waits[1].revents == 0
  }

  /// Whether a paste goes on: nobody types this fast.
  private static func hasMore() -> Bool {
    var wait = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&wait, 1, 20) > 0 && wait.revents & Int16(POLLIN) != 0
  }
}
